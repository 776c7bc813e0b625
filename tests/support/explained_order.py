"""Whether the script's order and that of the epochs go round in a circle."""

import json
from collections.abc import Sequence

from tests.support.editing_scripts import Tree, comes_before
from tests.support.told_steps import Told, Unexplained
from vibe_workflows.engine.model import FILE_TREE, Change, Edit, Observation


def check_order(tree: Tree, told: Sequence[Told]) -> None:
    """Each step's own order, the script's order, and that of the epochs where two meet at a file."""
    nodes: list[tuple[Told, int, int, Observation | Edit]] = []
    for each in told:
        nodes += [(each, edit.epoch, -100, edit) for edit in each.inherited]
        nodes += [(each, moment.epoch, moment.turn, moment.seen) for moment in each.moments]
    after: dict[int, set[int]] = {number: set() for number in range(len(nodes))}
    for one, (step, epoch, turn, what) in enumerate(nodes):
        for two, (other, later, its_turn, its) in enumerate(nodes):
            if step is other:
                comes_first = turn < its_turn
            else:
                comes_first = comes_before(tree, step.place, other.place) or (epoch < later and _meet(what, its))
            if comes_first:
                after[one].add(two)
    _check_no_circle(after)


def _meet(one: Observation | Edit, two: Observation | Edit) -> bool:
    changes = [each.change if isinstance(each, Edit) or not each.aside else None for each in (one, two)]
    return any(
        change is not None and may_see(other, change) for change, other in ((changes[0], two), (changes[1], one))
    )


def may_see(what: Observation | Edit, change: Change) -> bool:
    """Whether what a look shows can depend on that change."""
    if isinstance(what, Edit):
        return what.change.path == change.path
    if what.tool == FILE_TREE:
        return True
    path = json.loads(what.arguments)["path"]
    came_or_went = change.before is None or change.after is None
    match what.tool:
        case "glob":
            return came_or_went and change.path.endswith(".py") and _is_below(path, change.path)
        case "list_files":
            return came_or_went and _is_below(path, change.path)
        case "grep":
            return _is_below(path, change.path)
        case _:
            return bool(path == change.path)


def _is_below(folder: str, path: str) -> bool:
    return folder == "." or path.startswith(folder + "/")


def _check_no_circle(after: dict[int, set[int]]) -> None:
    left = dict(after)
    while left:
        last = [node for node, following in left.items() if not following & left.keys()]
        if not last:
            raise Unexplained("the order of the script and that of the edits go round in a circle")
        for node in last:
            del left[node]
