"""An archive begins with the genesis and never lets its history go."""

from __future__ import annotations

from pathlib import Path

from node.profile.modes import ARCHIVE
from node.service.beginning import Beginning, keep_beginning
from node.service.opening import ServiceSettings, open_service
from node.service.starting_over import StartingOver
from tests.node.service.mesh_world import profiles_of_one_network
from tests.node.service.service_world import alert
from tests.node.service.test_mesh import HERE


async def test_an_archive_does_not_begin_from_a_checkpoint(tmp_path: Path) -> None:
    paths = profiles_of_one_network(tmp_path, 2, 1)[2]
    keep_beginning(paths, Beginning(b"c" * 32, over=False))
    settings = ServiceSettings(mode=ARCHIVE, serve=False, mesh=HERE)
    async with open_service(paths, settings) as service:  # it fetches nothing first, and so does not wait for anybody
        assert service.node.engine.tip.height == 0
        assert (await service.node.status()).kind == ARCHIVE
        StartingOver(paths, service.node).begin()
        raised = alert(service.node, "too_far_behind")
        assert raised is not None
        assert "archive" in raised.message
        assert not service.node.again_requested.is_set()
