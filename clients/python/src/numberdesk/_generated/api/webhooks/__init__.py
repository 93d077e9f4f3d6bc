"""The operations of one tag"""

from .create_webhook_endpoint import create_webhook_endpoint
from .delete_webhook_endpoint import delete_webhook_endpoint
from .get_webhook_endpoint import get_webhook_endpoint
from .get_webhook_secret import get_webhook_secret
from .list_webhook_deliveries import list_webhook_deliveries
from .list_webhook_endpoints import list_webhook_endpoints
from .replay_webhook_delivery import replay_webhook_delivery
from .replay_webhooks import replay_webhooks
from .rotate_webhook_secret import rotate_webhook_secret
from .test_webhook_endpoint import test_webhook_endpoint
from .update_webhook_endpoint import update_webhook_endpoint

__all__ = [
    "create_webhook_endpoint",
    "delete_webhook_endpoint",
    "get_webhook_endpoint",
    "get_webhook_secret",
    "list_webhook_deliveries",
    "list_webhook_endpoints",
    "replay_webhook_delivery",
    "replay_webhooks",
    "rotate_webhook_secret",
    "test_webhook_endpoint",
    "update_webhook_endpoint",
]
