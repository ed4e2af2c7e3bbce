"""Check new settings, and send them to the mailbox's single writer.

The writer checks the limits again. Time zones, the caller's addresses and HTML are checked here
alone, since the writer must decide the same at any time.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET

from api.context import AuthenticatedRequest
from api.problems import bad_request
from api.rest.mailbox_commands import command_fields, execute
from mail.directory.own_addresses import is_own, own_addresses
from mail.errors import Refused
from mail.html.sanitizer import sanitise
from mail.mailbox.settings_limits import SettingsFault, fault_in
from mail.query.values import zone_of
from schemas.events.mailbox_commands import ChangeSettings
from schemas.user_settings import SettingsPatch, StoredSettings


async def checked(
    call: AuthenticatedRequest, patch: SettingsPatch, *, place_of: Callable[[str], str] = str
) -> SettingsPatch:
    """The patch with sanitised HTML. `place_of`: the place in the body, by the place in settings.

    Raises Problem 400: a value is invalid.
    """
    fault = fault_in(patch)
    if fault is None:
        patch = _sanitised(patch)
        fault = fault_in(patch) or _zone_fault(patch) or await _address_fault(call, patch)
    if fault is not None:
        raise bad_request("bad_setting", fault.what, place_of(fault.place))
    return patch


async def change(
    call: AuthenticatedRequest, patch: SettingsPatch, *, unchanged_since_seq: int | None
) -> StoredSettings | None:
    """The settings after the change; None if it was not seen in time.

    Raises Problem: 409, 412 the settings changed after `unchanged_since_seq`; 409 they are too
    large together.
    """
    command = ChangeSettings(
        **command_fields(call), patch=patch, unchanged_since_seq=unchanged_since_seq
    )
    if await execute(call, command) is None:
        return None
    return await call.context.ports.store.settings(call.user_id)


def _sanitised(patch: SettingsPatch) -> SettingsPatch:
    values: dict[str, Any] = {}
    if patch.identities is not UNSET:
        values["identities"] = tuple(
            msgspec.structs.replace(one, signature_html=sanitise(one.signature_html))
            for one in patch.identities
        )
    if patch.vacation is not UNSET:
        html = sanitise(patch.vacation.html)
        values["vacation"] = msgspec.structs.replace(patch.vacation, html=html)
    return msgspec.structs.replace(patch, **values)


def _zone_fault(patch: SettingsPatch) -> SettingsFault | None:
    try:
        if patch.zone:
            zone_of(patch.zone)
    except Refused as error:
        return SettingsFault("$.zone", f"{error.detail}.")
    return None


async def _address_fault(call: AuthenticatedRequest, patch: SettingsPatch) -> SettingsFault | None:
    """The first identity whose address is not one of the caller's."""
    if not patch.identities:
        return None
    own = await own_addresses(call.context.ports.addresses, call.caller.user)
    for number, identity in enumerate(patch.identities):
        if not await is_own(call.context.ports.addresses, identity.address, own):
            place = f"$.identities[{number}].address"
            return SettingsFault(place, f"One of your addresses: {', '.join(own)}.")
    return None
