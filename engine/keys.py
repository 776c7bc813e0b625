"""Canonical JSON, digests and step keys. What is here is a contract: golden tests pin it.

A key names all that shapes an answer. xxh3 is fast but not collision-proof, so the canonical spec is stored beside the
key and compared byte for byte on a hit. What a stranger may choose (file contents) is digested with BLAKE2b.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec
import xxhash

from .model import StepKey, StepSpec

KEY_VERSION = "s1"
DIGEST_BYTES = 32

_encoder = msgspec.json.Encoder(order="sorted")


def canonical_json(value: object) -> bytes:
    """The one encoding of a JSON value: keys sorted, no spaces, UTF-8. `value` comes from JSON: it holds no NaN."""
    return _encoder.encode(value)


def content_digest(data: bytes) -> str:
    """BLAKE2b-256, hex: for contents that a stranger may choose."""
    return blake2b(data, digest_size=DIGEST_BYTES).hexdigest()


def text_digest(text: str) -> str:
    return content_digest(text.encode("utf-8", "surrogatepass"))


def canonical_spec(spec: StepSpec) -> str:
    """The input of the key. Defaults are left out, so that a later optional field does not change today's keys.

    A new input is one line here and a new KEY_VERSION, unless its default leaves the text as it was.
    """
    held: dict[str, object] = {"kind": spec.kind.value}
    if spec.tool:
        held["tool"] = spec.tool
        held["arguments"] = spec.arguments
    if spec.prompt:
        held["prompt"] = spec.prompt
    if spec.prompts_version:
        held["prompts_version"] = spec.prompts_version
    if spec.system:
        held["system"] = spec.system
    if spec.context:
        held["context"] = text_digest(spec.context)  # shared by a fan-out, and maybe large
    if spec.profile:
        held["profile"] = spec.profile
    if spec.model:
        held["model"] = spec.model
    if spec.fallbacks:
        held["fallbacks"] = list(spec.fallbacks)
    if spec.effort is not None:
        held["effort"] = spec.effort
    if spec.temperature is not None:
        held["temperature"] = float(spec.temperature)
    if spec.max_tokens is not None:
        held["max_tokens"] = spec.max_tokens
    if spec.max_turns is not None:
        held["max_turns"] = spec.max_turns
    if spec.schema is not None:
        held["schema"] = spec.schema
    if spec.tools:
        held["tools"] = [[tool.name, tool.version] for tool in spec.tools]
    if spec.agents:
        held["agents"] = list(spec.agents)
    if spec.files:
        held["files"] = list(spec.files)
    if spec.grants:
        held["grants"] = sorted(spec.grants)
    if spec.isolation:
        held["isolation"] = spec.isolation
    if spec.merge:
        held["merge"] = spec.merge
    if spec.gate:
        held["gate"] = [list(spec.gate), spec.gate_retries]
    if spec.merged is not None:
        held["merged"] = spec.merged
    if spec.salt:
        held["salt"] = spec.salt
    return canonical_json(held).decode()


def step_key(canonical: str) -> StepKey:
    """Key of a canonical spec: version, colon, xxh3-128 in hex."""
    return StepKey(f"{KEY_VERSION}:{xxhash.xxh3_128_hexdigest(canonical.encode())}")


def chain(trail: str, *more: str) -> str:
    """Extend the digest of what a branch was answered so far (16 hex digits). Order matters."""
    return xxhash.xxh3_64_hexdigest("\n".join((trail, *more)).encode())
