"""The OpenAPI document, compared with responses of the running API."""

import asyncio
from collections import Counter

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.support.edge_world import World

EXAMPLES = settings(
    max_examples=10,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# Names, cursors, queries and ids have rules that a schema cannot express: 400 may be correct.
UNEXPRESSED = [positive_data_acceptance]


def ask_all(url: str, document: dict, token: str) -> Counter[int]:
    """Send valid and invalid requests for every operation; return the responses by status."""
    schema = schemathesis.openapi.from_dict(document)
    headers, statuses = {"Authorization": f"Bearer {token}"}, Counter()
    operations = [found.ok() for found in schema.get_all_operations()]
    operations.sort(key=lambda one: one.path == "/v1/logout")  # last: it ends the session
    for operation in operations:
        modes = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

        @EXAMPLES
        @given(case=st.one_of(*modes))
        def check(case) -> None:
            response = case.call(base_url=url, headers=headers)
            case.validate_response(response, excluded_checks=UNEXPRESSED)
            statuses[response.status_code] += 1

        check()
    return statuses


async def test_the_edge_answers_as_its_description_says(world: World) -> None:
    await world.deliver()
    async with world.client().get("/v1/openapi.json") as response:
        document = await response.json()
    statuses = await asyncio.to_thread(ask_all, world.url, document, await world.token())
    assert {200, 400, 404} <= statuses.keys()
    assert statuses.total() > 5 * len(document["paths"])
