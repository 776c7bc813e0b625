"""A project whose workflows are the built-in ones, and a model that answers by a script."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Machine
from tests.support.catalog_jobs import Catalog, configure
from tests.support.field_project import FieldProject
from tests.support.fork_server import Server
from tests.support.model_server import ModelServer


@pytest.fixture
def catalog(machine: Machine, model_server: ModelServer, commands: Server) -> Iterator[Catalog]:
    """Its project is empty; its model is the one of the person's config."""
    environ = machine.environ | {"OPENAI_API_KEY": "sk-test-0123456789"}
    project = FieldProject(machine.project, environ, commands, model_server)
    configure(project)
    yield Catalog(project)
    project.close()
