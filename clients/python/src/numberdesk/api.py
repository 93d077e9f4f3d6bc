"""The operations of the API: each function returns an `Operation`, which `Desk.call` sends."""

from ._generated.api.audit import *  # noqa: F403
from ._generated.api.events import *  # noqa: F403
from ._generated.api.me import *  # noqa: F403
from ._generated.api.orders import *  # noqa: F403
from ._generated.api.phone_numbers import *  # noqa: F403
from ._generated.api.spend import *  # noqa: F403
from ._generated.api.webhooks import *  # noqa: F403
