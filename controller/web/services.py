"""What the handlers work with, under one typed key of the application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from controller.cases.desk import Desk
from controller.cases.erasing import Eraser
from controller.cases.policybook import PolicyBook
from controller.contact.directory import ContactDirectory
from controller.contact.links import CustomerLinks
from controller.contact.sources.lookup import Lookup
from controller.contact.sources.pushed import PushedTenants
from controller.contact.templating import LetterTemplates
from controller.settings import ControllerSettings
from controller.storage.database import Database
from controller.web.credentials import HostCredentials
from controller.web.intake import Intake


@dataclass(frozen=True)
class Services:
    """Everything that a handler may need."""

    settings: ControllerSettings
    policies: PolicyBook
    database: Database
    desk: Desk
    clock: Callable[[], float]
    links: CustomerLinks
    templates: LetterTemplates
    directory: ContactDirectory
    pushed: PushedTenants
    lookup: Lookup | None
    credentials: HostCredentials
    intake: Intake

    @property
    def problems(self) -> tuple[str, ...]:
        """What was changed on disk, or is to be had elsewhere, and cannot be used."""
        every = (
            self.policies.problem,
            self.directory.problem,
            self.desk.modes.problem,
            self.templates.problem,
        )
        return tuple(each for each in every if each)

    @property
    def eraser(self) -> Eraser:
        """What takes out what was said of tenants."""
        return Eraser(self.database, self.desk, self.clock)


SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
