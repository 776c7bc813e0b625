"""Files of a message: what each format gets, in which order, and what is refused before anything is sent."""

from __future__ import annotations

import pytest
from trio.testing import trio_test

from tests.support.model_calls import ask, open_litellm
from tests.support.model_server import ModelServer
from tests.support.neutral import SeenFile
from vibe_workflows.engine.backends.estimate import request_tokens
from vibe_workflows.engine.errors import InternalError, SetupError
from vibe_workflows.engine.model import FilePart, Message, ModelRequest, Role

# pytest undoes the filters that litellm sets for what pydantic says of its types.
pytestmark = pytest.mark.filterwarnings("ignore:.*(`ReadOnly` qualifier|attribute on the instance is deprecated)")

MODELS = ["openai/test-model", "openai/gpt-4o", "anthropic/claude-sonnet-4-5", "anthropic/claude-of-tomorrow"]
TEXT = FilePart(path="docs/a.md", media_type="text/markdown", digest="t", size=9)
PDF = FilePart(path="docs/spec.pdf", media_type="application/pdf", digest="p", size=100_000)
IMAGES = tuple(
    FilePart(path=f"shots/one.{kind}", media_type=f"image/{kind}", digest=kind, size=2)
    for kind in ("png", "jpeg", "gif", "webp")
)
CONTENTS = {"t": b"h\xc3\xa4 \xff!", "p": b"%PDF-1.7\0", **{image.digest: image.digest.encode() for image in IMAGES}}


def _request(model: str, *files: FilePart) -> ModelRequest:
    message = Message(role=Role.USER, text="shared\n\nDescribe.", context_chars=len("shared"), files=files)
    return ask(model=model, messages=(message,), contents=CONTENTS)


@pytest.mark.parametrize("model", MODELS)
def test_files_stand_between_context_and_prompt_each_under_its_path(model_server: ModelServer, model: str) -> None:
    @trio_test
    async def scenario() -> None:
        async with open_litellm(model_server.url) as backend:
            await backend.complete(_request(model, TEXT, *IMAGES, PDF))
        [message] = model_server.requests[0].conversation().messages
        expected: list[str | SeenFile] = ["shared", "\n\nFile `docs/a.md`:\n\nhä \ufffd!"]
        for file in (*IMAGES, PDF):
            expected.append(f"\n\nFile `{file.path}`:")
            expected.append(SeenFile(media_type=file.media_type, data=CONTENTS[file.digest]))
        assert message.parts == (*expected, "\n\nDescribe.")

    scenario()


@pytest.mark.parametrize(
    ("model", "file", "words"),
    [
        (
            "openai/gpt-3.5-turbo",
            IMAGES[0],
            "shots/one.png: openai/gpt-3.5-turbo takes no image/png",
        ),
        ("openai/gpt-3.5-turbo", PDF, "docs/spec.pdf: openai/gpt-3.5-turbo takes no application/pdf"),
        ("deepseek/test", IMAGES[1], "shots/one.jpeg: deepseek/test takes no image/jpeg"),
    ],
)
def test_a_file_that_a_model_is_known_not_to_take_is_refused_before_anything_is_sent(
    model_server: ModelServer, model: str, file: FilePart, words: str
) -> None:
    @trio_test
    async def scenario() -> None:
        async with open_litellm(model_server.url) as backend:
            with pytest.raises(SetupError, match=words):
                await backend.complete(_request(model, TEXT, file))
            await backend.complete(_request(model, TEXT))  # text is for everyone
        [seen] = model_server.requests
        assert seen.conversation().messages[0].text == "shared\n\nFile `docs/a.md`:\n\nhä \ufffd!\n\nDescribe."

    scenario()


@trio_test
async def test_what_a_model_takes_and_how_much_comes_from_the_list(model_server: ModelServer) -> None:
    images = frozenset(image.media_type for image in IMAGES)
    async with open_litellm(model_server.url) as backend:
        infos = {
            model: await backend.info(model)
            for model in (*MODELS[1:3], "openai/gpt-3.5-turbo", "openai/test-model", "deepseek/test")
        }
    assert [info.media_types for info in infos.values()] == [
        images | {"application/pdf"},
        images | {"application/pdf"},
        frozenset(),
        None,
        frozenset(),
    ]
    assert [info.max_input_tokens for info in infos.values()] == [128_000, 200_000, 16_385, None, None]


@trio_test
async def test_a_file_without_its_contents_is_our_bug_and_says_which(model_server: ModelServer) -> None:
    message = Message(role=Role.USER, text="x", files=(TEXT,))
    async with open_litellm(model_server.url) as backend:
        with pytest.raises(InternalError, match=r"docs/a.md: its contents are not in the request"):
            await backend.complete(ask(messages=(message,)))


def test_estimates_count_every_kind_of_file() -> None:
    none, text, image, pdf = (request_tokens(_request("m", *files)) for files in ((), (TEXT,), (IMAGES[0],), (PDF,)))
    assert none < text < image < pdf
    assert image - none == 1604
    assert pdf - none == 4 * 2000 + 4
