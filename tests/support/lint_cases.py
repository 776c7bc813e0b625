"""Scripts that break a rule of `vibe validate` each, and scripts like them that are right.

Of a broken one the line with `#<--` is where the finding is; `Broken.says` is a part of its message.
"""

from __future__ import annotations

from textwrap import dedent
from typing import NamedTuple


class Broken(NamedTuple):
    code: str
    source: str
    says: str

    @property
    def script(self) -> str:
        return dedent(self.source).lstrip("\n").replace("  #<--", "")

    @property
    def line(self) -> int:
        lines = dedent(self.source).lstrip("\n").split("\n")
        return next((number for number, line in enumerate(lines, 1) if "#<--" in line), 1)


class Sound(NamedTuple):
    """A script with no finding at all; `near` is the rule that a careless check would say it breaks."""

    near: str
    source: str

    @property
    def script(self) -> str:
        return dedent(self.source).lstrip("\n")


BROKEN = (
    Broken("syntax", "x = 1\nif x print(x)  #<--", "syntax error"),
    Broken("refused", "import os  #<--\nreturn 1", "`import os` is not available"),
    Broken("undefined-name", "x = 1\nreturn await agnet('Hi')  #<--", "did you mean `agent`?"),
    Broken("undefined-name", "for path in ['a']:\n    log(pth)  #<--", "did you mean `path`?"),
    Broken(
        "undefined-name", "async def main(args):\n    def f():\n        return zebra  #<--\n    return f()", "`zebra`"
    ),
    Broken(
        "undefined-name",
        """
        def found():
            here = 1
            return here
        return [found(), here]  #<--
        """,
        "a variable of another function",
    ),
    # ------------------------------------------------------------ calls
    Broken("bad-call", "return await agent('Hi', promt='x')  #<--", "agent has no option `promt`"),
    Broken("bad-call", "return await agent('Hi', modell='x')  #<--", "did you mean `model`?"),
    Broken("bad-call", "return await agent('Hi', 'there')  #<--", "agent takes one prompt"),
    Broken("bad-call", "return await agent(label='x')  #<--", "agent lacks a prompt"),
    Broken("bad-call", "return await tool('grep', 'TODO')  #<--", "tool takes its arguments by name"),
    Broken("bad-call", "return await parallel(agent('a'), agent('b'))  #<--", "parallel takes one list"),
    Broken("bad-call", "return await parallel(agent('a'))  #<--", "this is one step; write [agent(...)]"),
    Broken("bad-call", "steps = [agent(x) for x in args.keys()]\nreturn await parallel(*steps)  #<--", "without `*`"),
    Broken("bad-call", "return await parallel([agent('a'), 'b'])  #<--", "no plain value"),
    Broken("bad-call", "return await parallel([lambda x: agent(x)])  #<--", "calls a function without arguments"),
    Broken(
        "bad-call",
        """
        async def check(path):
            return await agent(f"Check {path}.")
        return await parallel([check])  #<--
        """,
        "calls a function without arguments",
    ),
    Broken("bad-call", "return await pipeline(['a'], agent('b'))  #<--", "a stage is a function"),
    Broken("bad-call", "return await pipeline(['a'])  #<--", "pipeline lacks its stages"),
    Broken("bad-call", "return await pipeline(['a'], lambda: 1)  #<--", "(value, item, index)"),
    Broken("bad-call", "return await agent('Hi', merge='auto')  #<--", 'write isolation="worktree" beside it'),
    Broken("bad-call", "return await agent('Hi', gate_retries=3)  #<--", "gate_retries= counts for a gate"),
    Broken("bad-call", "return await merge(agent('Hi'))  #<--", "not a step"),
    Broken("bad-call", "return budget.remaning()  #<--", "did you mean `remaining`?"),
    Broken(
        "bad-call",
        "from vibe_workflows.script import agent as ask_model\nreturn await ask_model('Hi', promt='x')  #<--",
        "agent has no option `promt`",
    ),
    Broken("bad-value", "return await agent('Hi', timeout=-1)  #<--", "a number of seconds from"),
    Broken("bad-value", "return await agent('Hi', isolation='tree')  #<--", '"worktree", not'),
    Broken("bad-value", "return await agent('Hi', tools='read')  #<--", "a list of names of tools"),
    Broken("bad-value", "return await agent('Hi', budget='200q')  #<--", '"200k"'),
    Broken("bad-value", "with phase('A', budget={'token': 5}):  #<--\n    log('x')", "did you mean 'tokens'?"),
    Broken("bad-value", "T = -5\nreturn await agent('Hi', timeout=T)  #<--", "not -5"),
    Broken("bad-value", "return await agent('Hi', schema='object')  #<--", "a JSON Schema as a dict"),
    Broken("bad-value", "return await agent(5)  #<--", "the prompt of agent is a string"),
    Broken(
        "bad-value", "return await parallel([agent('a')], on_error='ignore')  #<--", '"none" or "return" or "raise"'
    ),
    Broken("bad-value", "return budget.remaining('token')  #<--", "did you mean `tokens`?"),
    Broken("odd-effort", "return await agent('Hi', effort='hgih')  #<--", "did you mean 'high'?"),
    Broken("bad-await", "await log('done')  #<--", "leave `await` out"),
    Broken("bad-await", "x = await budget.remaining()  #<--\nreturn x", "leave `await` out"),
    Broken("bad-await", "return await [agent(x) for x in 'ab']  #<--", "await parallel([...])"),
    Broken("bad-await", "return await agent  #<--", "write `await agent(...)`"),
    # ------------------------------------------------------------ steps
    Broken("not-awaited", "agent('Hi')  #<--\nreturn 1", "made and never started"),
    Broken("not-awaited", "found = agent('Hi')  #<--\nreturn 1", "called `found`, and never started"),
    Broken("not-awaited", "[agent(x) for x in 'ab']  #<--\nreturn 1", "never started"),
    Broken("not-awaited", "steps = [agent(x) for x in 'ab']  #<--\nreturn 1", "await parallel(steps)"),
    Broken("not-awaited", "return agent('Hi', schema={'type': 'object'})['a']  #<--", "a step has no items"),
    Broken("not-awaited", "found = agent('Hi')\nreturn f'{found}'  #<--", "its text is not its result"),
    Broken("not-awaited", "for x in parallel([agent('a')]):  #<--\n    log(x)", "cannot be looped over"),
    Broken("not-awaited", "return len(parallel([agent('a')]))  #<--", "len() needs its result"),
    Broken("not-awaited", "if agent('Is it?'):  #<--\n    log('yes')", "always true"),
    Broken(
        "not-awaited",
        """
        async def check():
            return await agent("Check.")
        check()  #<--
        """,
        "the check() is made and never started",
    ),
    Broken("started-twice", "step = agent('Hi')\nreturn await parallel([step, step])  #<--", "make a new one"),
    Broken(
        "started-twice", "step = agent('Hi')\na = await step\nb = await step  #<--\nreturn [a, b]", "started already"
    ),
    Broken("started-twice", "return await parallel([agent('Hi')] * 3)  #<--", "for _ in range(3)"),
    Broken(
        "started-twice", "step = agent('Hi')\nreturn await parallel(step for _ in range(3))  #<--", "before the loop"
    ),
    Broken("started-twice", "step = agent('Hi')\nfor x in 'ab':\n    log(await step)  #<--", "before the loop"),
    Broken("await-in-fan-out", "return await parallel([await agent('a')])  #<--", "leave `await` out"),
    Broken("await-in-fan-out", "return await parallel(await agent(x) for x in 'ab')  #<--", "leave `await` out"),
    Broken("await-in-fan-out", "return await parallel(await parallel([agent('a')]))  #<--", "leave `await` out"),
    Broken("loop-capture", "return await parallel([lambda: agent(x) for x in 'ab'])  #<--", "lambda x=x: ..."),
    Broken(
        "loop-capture",
        """
        steps = []
        for path in ["a", "b"]:
            steps.append(lambda: agent(f"Read {path}."))  #<--
        return await parallel(steps)
        """,
        "`path` has its last value",
    ),
    Broken(
        "loop-capture",
        """
        steps = []
        for path in ["a", "b"]:
            async def read():
                return await agent(f"Read {path}.")  #<--
            steps.append(read)
        return await parallel(steps)
        """,
        "bind it: path=path",
    ),
    Broken(
        "loop-capture",
        """
        return await parallel(
            pipeline([1, 2], lambda n: agent(f"{item} {n}"))  #<--
            for item in ["a", "b"]
        )
        """,
        "`item` has its last value",
    ),
    Broken(
        "loop-capture",
        """
        for path in ["a", "b"]:
            log(path)
        steps = {}
        for path in ["a", "b"]:
            if path != "a":
                steps[path] = lambda: agent(f"Read {path}.")  #<--
        return await parallel(steps.values())
        """,
        "`path` has its last value",
    ),
    # ------------------------------------------------------------ results
    Broken(
        "none-result",
        """
        S = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
        found = await parallel(agent(x, schema=S) for x in "ab")
        return [each["ok"] for each in found]  #<--
        """,
        "None where its branch failed",
    ),
    Broken(
        "none-result",
        "for each in await parallel([agent('a')]):\n    log(each.strip())  #<--",
        'on_error="raise"',
    ),
    Broken(
        "none-result",
        """
        found = await parallel([agent(x) for x in "ab"])
        for each in found:
            log(each.strip())  #<--
        return {"all": found}
        """,
        "leave those out",
    ),
    Broken("wrong-access", "found = await agent('Hi')\nreturn found['title']  #<--", "this is text"),
    Broken("wrong-access", "found = await agent('Hi')\nreturn found.usage  #<--", "detail=True"),
    Broken(
        "wrong-access",
        "S = {'type': 'object'}\nfound = await agent('Hi', schema=S)\nreturn found.title  #<--",
        'write ["title"]',
    ),
    Broken("wrong-access", "found = await parallel([agent('a')])\nreturn found['a']  #<--", "this is a list"),
    Broken(
        "unknown-key",
        """
        S = {"type": "object", "properties": {"title": {"type": "string"}}}
        found = await agent("Hi", schema=S)
        return found["titel"]  #<--
        """,
        "did you mean `title`?",
    ),
    Broken(
        "unknown-key",
        """
        S = {"type": "object", "properties": {"title": {"type": "string"}}, "additionalProperties": False}
        found = await agent("Hi", schema=S)
        return found["titel"]  #<--
        """,
        "did you mean `title`?",
    ),
    # ------------------------------------------------------------ meta
    Broken(
        "undeclared-phase",
        """
        meta = {'phases': ['Review']}
        phase('Review')
        phase('Reviwe')  #<--
        """,
        "did you mean",
    ),
    Broken(
        "undeclared-phase",
        "meta = {'phases': ['A']}\nphase('A')\nreturn await agent('a', phase='Elsewhere')  #<--",
        "add it there",
    ),
    Broken("unused-phase", "meta = {'phases': ['A', 'B']}  #<--\nphase('A')", "'B' never begins"),
    Broken("phase-case", "meta = {'phases': ['Plan']}\nphase('plan')  #<--", "they are two phases"),
    Broken("phase-case", "phase('Plan')\nphase('PLAN')  #<--", "another phase is 'Plan'"),
    Broken("undeclared-arg", "meta = {'args': {'properties': {}}}\nreturn args.path  #<--", "declare it there"),
    Broken(
        "undeclared-arg",
        """
        meta = {"args": {"type": "object", "properties": {"path": {"type": "string"}}}}
        async def main(given):
            log(given.path)
            return given["paht"]  #<--
        """,
        "did you mean `path`?",
    ),
    Broken(
        "unused-arg",
        """
        meta = {"args": {"type": "object", "properties": {"depth": {"type": "integer"}}}}  #<--
        return 1
        """,
        "`depth` is never read",
    ),
    # ------------------------------------------------------------ schemas
    Broken("schema", "return await agent('a', schema={'type': 'strin'})  #<--", "did you mean 'string'?"),
    Broken("schema", "S = {'type': 'list'}  #<--\nreturn await agent('a', schema=S)", "did you mean 'array'?"),
    Broken(
        "schema",
        """
        S = {
            "type": "object",
            "properties": {
                "line": {"type": "integer", "minimum": "one"},  #<--
            },
        }
        return await agent("a", schema=S)
        """,
        "cannot be used: properties.line.minimum",
    ),
    Broken(
        "schema-keyword",
        """
        return await agent('a', schema={'type': 'object', 'requierd': []})  #<--
        """,
        "'required'",
    ),
    Broken(
        "schema-required",
        """
        S = {
            "properties": {"title": {"type": "string"}},
            "required": ["titel"],  #<--
        }
        return await agent("a", schema=S)
        """,
        "did you mean 'title'?",
    ),
    # ------------------------------------------------------------ flow
    Broken("unbounded-loop", "while budget.remaining() > 1000:  #<--\n    await agent('More.')", "count its rounds"),
    Broken("unreachable", "return 1\nlog('x')  #<--", "`return` in line 1 leaves"),
    Broken("missing-f", "path = 'a'\nreturn await agent('Read {path}.')  #<--", 'write f"..."'),
    Broken("missing-f", "for path in 'ab':\n    await agent('Read it.', label='{path}')  #<--", "`path`"),
)

SOUND = (
    Sound("undefined-name", "try:\n    x = nothing\nexcept NameError:\n    x = 1\nreturn x"),
    Sound(
        'undefined-name',
        """
        def even(n):
            return n == 0 or odd(n - 1)
        def odd(n):
            return n != 0 and even(n - 1)
        return even(4)
        """,
    ),
    Sound("undefined-name", "if (n := 3) > 2:\n    log(n)\nreturn [y for x in [[1]] for y in x]"),
    Sound("bad-call", "options = {'label': 'x'}\nreturn await agent('Hi', **options)"),
    Sound("bad-call", "return await agent('Hi', label=None, tools=None, schema=None)"),
    Sound("bad-call", "return await agent(prompt='Hi')"),
    Sound(
        'bad-call',
        """
        def log_it(x, colour):
            agent = x
            return [agent, colour]
        return log_it(1, colour='red')
        """,
    ),
    Sound("bad-call", "return await pipeline(['a'], lambda v, i, n: v, str, lambda v, more=1: agent(v))"),
    Sound("bad-call", "async def f(x=1):\n    return x\nreturn await parallel([f, lambda x=2: x, f()])"),
    Sound("bad-call", "return await parallel([])"),
    Sound("bad-call", "return await agent('Hi', profile='p', merge='manual')"),
    Sound(
        'bad-value',
        """
        return await agent('Hi', timeout=0.5, budget={'usd': 1.5}, ttl='2d', cache='v2', gate=('a', 'b'))
        """,
    ),
    Sound(
        'bad-value',
        """
        limit = 3
        if args.keys():
            limit = 'x'
        return await parallel([agent('a')], limit=limit)
        """,
    ),
    Sound("bad-value", "return await agent('Hi', budget={'tokens': budget.remaining() / 2})"),
    Sound("bad-value", "B = {}\nB['tokens'] = 5\nreturn await agent('Hi', budget=B)"),
    Sound("odd-effort", "return [await agent('Hi', effort=e) for e in ('low', 'xhigh')]"),
    Sound("bad-await", "async def f():\n    return 1\nstep = agent('a')\nreturn [await f(), await step]"),
    Sound("not-awaited", "def stage(v):\n    return agent(v)\nreturn await pipeline('ab', stage)"),
    Sound("not-awaited", "found = agent('Hi')\nif args.keys():\n    return await found\nreturn await found"),
    Sound(
        'not-awaited',
        """
        steps = {}
        for x in 'ab':
            steps[x] = agent(x)
        return await parallel(steps.values())
        """,
    ),
    Sound("not-awaited", "steps = [agent(x) for x in 'ab']\nsteps.append(agent('c'))\nreturn await parallel(steps)"),
    Sound("not-awaited", "async def numbers():\n    yield 1\nreturn [x async for x in numbers()]"),
    Sound("not-awaited", "step = agent('a') if args.keys() else tool('glob', pattern='*')\nreturn await step"),
    Sound(
        'started-twice',
        """
        step = agent('a')
        if args.keys():
            return await step
        else:
            return await parallel([step])
        """,
    ),
    Sound("started-twice", "step = agent('a')\nfor x in 'ab':\n    if x == 'b':\n        log(await step)"),
    Sound("started-twice", "out = []\nfor x in 'ab':\n    step = agent(x)\n    out.append(await step)\nreturn out"),
    Sound("started-twice", "step = agent('a')\nfor x in 'ab':\n    log(await step)\n    break"),
    Sound("started-twice", "return await parallel([agent(x) for x in 'ab'] + [agent('c')])"),
    Sound(
        'await-in-fan-out',
        """
        first = await agent('a')
        return await parallel([agent(first), agent(await agent('b'))])
        """,
    ),
    Sound("await-in-fan-out", "async def steps():\n    return [agent('a')]\nreturn await parallel(await steps())"),
    Sound("loop-capture", "return await parallel([lambda x=x: agent(x) for x in 'ab'])"),
    Sound("loop-capture", "for x in 'ab':\n    await parallel([lambda: agent(x), lambda: agent(x + 'c')])"),
    Sound("loop-capture", "return [sorted('ab', key=lambda y: (y, x)) for x in 'cd']"),
    Sound("loop-capture", "return [await pipeline('ab', lambda v: agent(v + x)) for x in 'cd']"),
    Sound(
        "loop-capture",
        """
        for x in "ab":
            steps = []
            steps.append(lambda: agent(x))
            log(await parallel(steps))
        """,
    ),
    Sound(
        "loop-capture",
        """
        def make(x):
            return lambda: agent(x)
        steps = []
        for x in "ab":
            steps.append(make(x))
        return await parallel(steps)
        """,
    ),
    Sound(
        "loop-capture",
        """
        names = []
        for x in "ab":
            names.append(max("cd", key=lambda y: y + x))
        return names
        """,
    ),
    Sound(
        'none-result',
        """
        found = await parallel(agent(x) for x in 'ab')
        return [each.strip() for each in found if each]
        """,
    ),
    Sound(
        'none-result',
        """
        for each in await parallel([agent('a')]):
            if each is None:
                continue
            log(each.strip())
        """,
    ),
    Sound(
        'none-result',
        """
        found = await parallel([agent('a')], on_error='raise')
        return [each.strip() for each in found]
        """,
    ),
    Sound(
        'none-result',
        """
        found = await parallel([agent('a')])
        if None in found:
            return 1
        return [each.strip() for each in found]
        """,
    ),
    Sound(
        'none-result',
        """
        found = await parallel([agent('a')])
        found = [f for f in found if f]
        return [f.strip() for f in found]
        """,
    ),
    Sound("wrong-access", "found = await agent('Hi', detail=True)\nreturn [found.value, found.usage]"),
    Sound(
        'wrong-access',
        """
        found = await agent('Hi')
        if args.keys():
            found = json.loads(found)
        return found['a']
        """,
    ),
    Sound("wrong-access", "options = {'detail': True}\nfound = await agent('Hi', **options)\nreturn found.value"),
    Sound("wrong-access", "found = await agent('Hi')\nreturn [found.strip(), found[0], found[1:]]"),
    Sound(
        'unknown-key',
        """
        S = {'type': 'object', 'properties': {'a': {}}}
        found = await agent('Hi', schema=S)
        found['b'] = 1
        return found['b']
        """,
    ),
    Sound(
        'unknown-key',
        """
        S = {'type': 'object', 'properties': {'a': {}}, 'additionalProperties': True}
        found = await agent('Hi', schema=S)
        return found['b']
        """,
    ),
    Sound("undeclared-phase", "phase('A')\nphase('B')"),
    Sound("unused-phase", "meta = {'phases': ['A', 'B']}\nfor title in ('A', 'B'):\n    phase(title)"),
    Sound("undeclared-arg", "return [args.get('x'), list(args.keys()), dict(args)]"),
    Sound(
        "undeclared-arg", "def f(args):\n    return args['anything']\nreturn f({'anything': 1})"
    ),
    Sound("unused-arg", "meta = {'args': {'properties': {'a': {}, 'b': {}}}}\nreturn json.dumps(dict(args))"),
    Sound(
        'unused-arg',
        """
        meta = {'args': {'properties': {'a': {}}}}
        async def main(args):
            def f():
                return args['a']
            return f()
        """,
    ),
    Sound(
        'schema',
        """
        S = {'type': ['string', 'null']}
        return await agent('a', schema={'type': 'array', 'items': S})
        """,
    ),
    Sound(
        'schema',
        """
        def made(names):
            return {'type': 'object', 'properties': names}
        return await agent('a', schema=made({}))
        """,
    ),
    Sound(
        'schema-keyword',
        """
        S = {'type': 'object', 'properties': {'requierd': {'type': 'string'}}, 'x-order': 1}
        return await agent('a', schema=S)
        """,
    ),
    Sound("schema", "S = {'type': 'x'}\nS['type'] = 'object'\nreturn await agent('a', schema=S)"),
    Sound("schema-keyword", "S = {'enum': ['a'], 'default': {'requierd': 1}}\nreturn await agent('a', schema=S)"),
    Sound(
        'schema-required',
        """
        S = {'type': 'object', 'anyOf': [{'required': ['a']}, {'required': ['b']}]}
        return await agent('a', schema=S)
        """,
    ),
    Sound(
        'unbounded-loop',
        """
        n = 0
        while budget.remaining() > 1000 and n < 3:
            n += 1
            await agent('More.')
        """,
    ),
    Sound("unbounded-loop", "while budget.remaining() > 1000:\n    if await agent('Done?') == 'yes':\n        break"),
    Sound("unreachable", "for x in 'ab':\n    if x:\n        continue\n    log(x)\nreturn 1"),
    Sound("unreachable", "async def nothing():\n    return\n    yield\nreturn [x async for x in nothing()]"),
    Sound(
        'missing-f',
        """
        path = 'a'
        P = 'Read {path}.'
        return await agent('Read {path}.'.format(path=path) + P.replace('{path}', path))
        """,
    ),
    Sound("missing-f", "return await agent('Answer as {name}, or {\"a\": 1}.')"),
    Sound("missing-f", "path = 'a'\nreturn await agent(f'Read {path}, and say {{path}}.')"),
    Sound("undeclared-arg", "return [args.path, args['x'], args.get('y')]"),
    Sound("undeclared-arg", "meta = {'args': {'additionalProperties': True}}\nreturn args.path"),
    Sound("not-awaited", "return agent('a')"),
    Sound("not-awaited", "step = agent('a')\nwaiting = [step]\nif step in waiting:\n    log('x')\nreturn await step"),
    Sound("loop-capture", "return [made() for made in ((lambda: x) for x in 'ab')]"),
    Sound(
        "started-twice",
        """
        def outer():
            def again():
                nonlocal step
                step = agent("b")
            step = agent("a")
            async def both():
                first = await step
                again()
                return [first, await step]
            return both
        return await outer()()
        """,
    ),
    Sound(
        "none-result",
        """
        async def review(path):
            try:
                return {"path": path, "text": await agent(f"Review {path}.")}
            except AgentError as error:
                return {"path": path, "text": error.kind}
        found = await parallel(review(path) for path in "ab")
        return [each["text"] for each in found]
        """,
    ),
    Sound(
        "loop-capture",
        """
        steps, results = [], []
        for x in "abc":
            steps.append(lambda: agent(x))
            results += await parallel(steps)
            steps = []
        return results
        """,
    ),
    Sound(
        "wrong-access",
        """
        found = None
        for attempt in range(3):
            found = await agent("Hi", schema={"type": "object"}, detail=attempt > 1)
        return found.value if found else None
        """,
    ),
    Sound(
        "unreachable",
        """
        while True:
            match await agent("Hi"):
                case "stop":
                    break
                case str() as other:
                    log(other)
        with phase("End"), budget(tokens=5):
            return 1
        """,
    ),
    Sound(
        "bad-call",
        """
        from vibe_workflows.script import agent as made, parallel as together
        import functools
        check = functools.partial(made, label="x")
        return await together([check("a"), functools.partial(made, "b"), race([made("c")], until=lambda r: r)])
        """,
    ),
    Sound(
        "bad-call",
        """
        def named(label, **options):
            return agent("Hi", label=label, **{"system": "s", **options})
        return await parallel([named("a", effort="high"), lambda: named("b")], limit=args.get("n"), on_error="return")
        """,
    ),
    Sound(
        "undefined-name",
        """
        total = 0
        def add(n):
            global total
            total += n
            return total
        for n in range(3):
            add(n)
        del n
        return [total, (lambda *a, **k: [a, k])(1), {**{}}, [*range(2)]]
        """,
    ),
    Sound(
        "unknown-key",
        """
        S = {"type": "object", "properties": {"parts": {"type": "array", "items": {"type": "object"}}}}
        found = await agent("Hi", schema=S)
        for part in found["parts"]:
            log(part["anything"])
        return found.get("other")
        """,
    ),
    Sound(
        "none-result",
        """
        found = await parallel([agent("a")])
        if not all(found):
            raise ValueError("one failed")
        return [each.strip() for each in found]
        """,
    ),
    Sound(
        "loop-capture",
        """
        best, steps = "", []
        for x in ["a", "b"]:
            best = max(best, x)
            steps.append(lambda: agent(best))
        return await parallel(steps)
        """,
    ),
)  # fmt: skip

#: What only the engine's side can tell, in the project that OUTSIDE_CONFIG and OUTSIDE_FILES describe.
OUTSIDE_CONFIG = """\
aliases: {fast: openai/gpt-5-mini}
mcp:
  github: {command: [github-mcp-server]}
"""
OUTSIDE_FILES = {".vibe/agents/reviewer.md": "---\nname: reviewer\n---\nReview.\n", "notes.md": "Notes.\n"}
OUTSIDE_BROKEN = (
    Broken("unknown-tool", "return await agent('a', tools=['raed'])  #<--", "did you mean `read`?"),
    Broken("unknown-tool", "return await tool('grpe', pattern='x')  #<--", "did you mean `grep`?"),
    Broken("unknown-server", "return await agent('a', tools=['mcp:githb'])  #<--", "did you mean `github`?"),
    Broken("unknown-server", "return await tool('gitlab__issues')  #<--", "no MCP server `gitlab` is configured"),
    Broken("tool-argument", "return await tool('grep', patern='x')  #<--", "did you mean `pattern`?"),
    Broken("tool-argument", "return await tool('read_file')  #<--", "lacks its argument `path`"),
    Broken("permission", "return await agent('a', tools=['read', 'write'])  #<--", "needs the permission `write`"),
    Broken("permission", "return await tool('web_fetch', url='https://example.com')  #<--", "the permission `web`"),
    Broken("permission", "return await agent('a', tools=['mcp:github'])  #<--", "the permission `mcp:github`"),
    Broken("permission", "return await agent('a', gate=['true'])  #<--", "the permission `command`"),
    Broken("unknown-model", "return await agent('a', model='fsat')  #<--", "did you mean `fast`?"),
    Broken("unknown-model", "phase('A', model='fsat')  #<--\nreturn await agent('a')", "did you mean `fast`?"),
    Broken("unknown-model", "meta = {'model': 'fsat'}  #<--\nreturn await agent('a')", "did you mean `fast`?"),
    Broken("model-address", "return await agent('a', model='http://evil.test/x')  #<--", "holds an address"),
    Broken("unknown-profile", "return await agent('a', profile='revewer')  #<--", "did you mean `reviewer`?"),
    Broken(
        "missing-program",
        "meta = {'permissions': ['command']}\nreturn await agent('a', gate=['no-such-program'])  #<--",
        "`no-such-program` is not in PATH",
    ),
    Broken("missing-file", "return await agent('a', files=['notes.md', 'gone.md'])  #<--", "`gone.md` is not there"),
    Broken("meta", "meta = {'budgett': '5'}  #<--\nreturn await agent('a')", "did you mean `budget`?"),
    Broken("unknown-code", "return await agent('a')  # vibe: ignore[unknwon-tool]  #<--", "mean `unknown-tool`?"),
    Broken("unknown-code", "return await agent('a')  # vibe: ignore  #<--", "name the rule"),
    Broken("unknown-code", "return await agent('a')  # vibe: ignore[refused]  #<--", "cannot be silenced"),
)
OUTSIDE_SOUND = (
    Sound("unknown-tool", "return await agent('a', tools=['read', 'grep', 'git_diff'])"),
    Sound("unknown-tool", "meta = {'permissions': ['mcp:github']}\nreturn await tool('github__anything', x=1)"),
    Sound("tool-argument", "options = {'pattern': 'x'}\nreturn await tool('grep', **options)"),
    Sound("permission", "return await tool('run_command', argv=args.get('test'))"),
    Sound("permission", "meta = {'permissions': ['write', 'web']}\nreturn await agent('a', tools=['write', 'web'])"),
    Sound("permission", "meta = {'permissions': ['command:true']}\nreturn await agent('a', gate=['true'])"),
    Sound("unknown-model", "return [await agent('a', model=m) for m in ('fast', 'x')]"),
    Sound("unknown-model", "return await agent('a', model='gpt-9-turbo') + await agent('b', model='openai/fsat')"),
    Sound("unknown-profile", "return await agent('a', profile='reviewer')"),
    Sound("missing-file", "return await agent('a', files=['notes.md'])"),
)  # fmt: skip
