"""Which model a step gets here, and the backends that serve it."""

from __future__ import annotations

from collections.abc import Callable

import trio

from vibe_workflows.catalog.metadata import Metadata
from vibe_workflows.engine.clis import AGENT_NAMES
from vibe_workflows.engine.config import Settings
from vibe_workflows.engine.errors import ConfigError, ModelMissing, SetupError
from vibe_workflows.engine.island import Island
from vibe_workflows.engine.ports import ModelBackend
from vibe_workflows.engine.requests import ResolveModel
from vibe_workflows.engine.routing import OFFLINE, ModelChoice, resolve_model

__all__ = ["OFFLINE", "close_backend", "default_model", "equipped", "model_resolver", "open_backends"]

_CLOSING_S = 5.0


def default_model(settings: Settings, metadata: Metadata) -> str:
    """The model of a step that names none; "" where none is configured, or offline is asked for."""
    return "" if settings.offline else resolve_model(settings, meta_model=metadata.model).model


def model_resolver(settings: Settings, metadata: Metadata) -> ResolveModel:
    def resolve(
        *,
        requested: str,
        profile_model: str,
        phase_model: str,
        phase: str,
        label: str,
        profile: str,
        prompt_tokens: Callable[[], int],
    ) -> ModelChoice:
        if settings.offline:
            return ModelChoice(model=OFFLINE, reason="offline was asked for")
        try:
            choice = resolve_model(
                settings,
                requested=requested,
                profile_model=profile_model,
                phase_model=phase_model,
                meta_model=metadata.model,
                phase=phase,
                label=label,
                profile=profile,
                prompt_tokens=prompt_tokens,
            )
        except ConfigError as error:
            raise SetupError(error.message) from error
        if choice.model:
            return choice
        if settings.require_model:
            raise ModelMissing(
                "no model is configured, and one is required (--require-model, or CI is set); give --model NAME, or "
                "set VIBE_MODEL, with the provider's key in its environment variable; --offline runs without one"
            )
        return ModelChoice(model=OFFLINE, reason=choice.reason)

    return resolve


def open_backends(settings: Settings, island: Island) -> ModelBackend:
    from vibe_workflows.engine.backends.litellm import LitellmBackend, LitellmSettings
    from vibe_workflows.engine.backends.offline import OfflineBackend
    from vibe_workflows.engine.backends.router import BackendRouter

    live = LitellmBackend(island, LitellmSettings(api_base=settings.api_base, api_bases=settings.api_bases))

    def command() -> ModelBackend:
        from vibe_workflows.engine.backends.command import CommandBackend  # most people have no such program

        return CommandBackend(settings.agents)

    return BackendRouter(
        {OFFLINE: OfflineBackend()}, live, late=dict.fromkeys((*settings.agents, *AGENT_NAMES), command)
    )


def equipped(backend: ModelBackend, settings: Settings) -> ModelBackend:
    """The backend as a run needs it: under the person's own prices, and asked once what it knows of a model."""
    from vibe_workflows.engine.backends.priced import PricedBackend
    from vibe_workflows.engine.backends.remembering import RememberingBackend

    return RememberingBackend(PricedBackend(backend, settings.prices) if settings.prices else backend)


async def close_backend(backend: ModelBackend) -> None:
    """Close its connections, also where the run was cut off."""
    with trio.CancelScope(shield=True, deadline=trio.current_time() + _CLOSING_S):
        await backend.aclose()
