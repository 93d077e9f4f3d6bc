"""Contains all the data models used in inputs/outputs"""

from .actor import Actor
from .approval import Approval
from .audit_row import AuditRow
from .audit_row_page import AuditRowPage
from .carrier_type import CarrierType
from .close_api_data import CloseApiData
from .close_api_event import CloseApiEvent
from .close_drift import CloseDrift
from .created_webhook_endpoint import CreatedWebhookEndpoint
from .decision import Decision
from .decision_request import DecisionRequest
from .denial_kind import DenialKind
from .event import Event
from .event_page import EventPage
from .field_error import FieldError
from .given_permissions import GivenPermissions
from .group_by import GroupBy
from .group_data import GroupData
from .group_event import GroupEvent
from .hold import Hold
from .hold_request import HoldRequest
from .holds import Holds
from .ignored_team import IgnoredTeam
from .inventory_data import InventoryData
from .inventory_event import InventoryEvent
from .limits import Limits
from .me import Me
from .order import Order
from .order_data import OrderData
from .order_event import OrderEvent
from .order_page import OrderPage
from .order_phone_number import OrderPhoneNumber
from .order_request import OrderRequest
from .pending_release import PendingRelease
from .phone_number import PhoneNumber
from .phone_number_at_desk import PhoneNumberAtDesk
from .phone_number_data import PhoneNumberData
from .phone_number_event import PhoneNumberEvent
from .phone_number_page import PhoneNumberPage
from .phone_number_patch import PhoneNumberPatch
from .policy_changed_data import PolicyChangedData
from .policy_changed_event import PolicyChangedEvent
from .policy_rejected_data import PolicyRejectedData
from .policy_rejected_event import PolicyRejectedEvent
from .problem import Problem
from .provenance import Provenance
from .remaining_limits import RemainingLimits
from .replay_request import ReplayRequest
from .replay_result import ReplayResult
from .report_format import ReportFormat
from .requested_number import RequestedNumber
from .settle_request import SettleRequest
from .sharing import Sharing
from .spend import Spend
from .spend_group import SpendGroup
from .spend_total import SpendTotal
from .team_usage import TeamUsage
from .team_usage_policy_type_0 import TeamUsagePolicyType0
from .transfer_request import TransferRequest
from .unknown_call import UnknownCall
from .usage import Usage
from .validation import Validation
from .webhook_delivery import WebhookDelivery
from .webhook_delivery_page import WebhookDeliveryPage
from .webhook_endpoint import WebhookEndpoint
from .webhook_endpoint_data import WebhookEndpointData
from .webhook_endpoint_event import WebhookEndpointEvent
from .webhook_endpoint_page import WebhookEndpointPage
from .webhook_endpoint_patch import WebhookEndpointPatch
from .webhook_endpoint_request import WebhookEndpointRequest
from .webhook_secret import WebhookSecret
from .webhook_test_data import WebhookTestData
from .webhook_test_event import WebhookTestEvent

__all__ = (
    "Actor",
    "Approval",
    "AuditRow",
    "AuditRowPage",
    "CarrierType",
    "CloseApiData",
    "CloseApiEvent",
    "CloseDrift",
    "CreatedWebhookEndpoint",
    "Decision",
    "DecisionRequest",
    "DenialKind",
    "Event",
    "EventPage",
    "FieldError",
    "GivenPermissions",
    "GroupBy",
    "GroupData",
    "GroupEvent",
    "Hold",
    "HoldRequest",
    "Holds",
    "IgnoredTeam",
    "InventoryData",
    "InventoryEvent",
    "Limits",
    "Me",
    "Order",
    "OrderData",
    "OrderEvent",
    "OrderPage",
    "OrderPhoneNumber",
    "OrderRequest",
    "PendingRelease",
    "PhoneNumber",
    "PhoneNumberAtDesk",
    "PhoneNumberData",
    "PhoneNumberEvent",
    "PhoneNumberPage",
    "PhoneNumberPatch",
    "PolicyChangedData",
    "PolicyChangedEvent",
    "PolicyRejectedData",
    "PolicyRejectedEvent",
    "Problem",
    "Provenance",
    "RemainingLimits",
    "ReplayRequest",
    "ReplayResult",
    "ReportFormat",
    "RequestedNumber",
    "SettleRequest",
    "Sharing",
    "Spend",
    "SpendGroup",
    "SpendTotal",
    "TeamUsage",
    "TeamUsagePolicyType0",
    "TransferRequest",
    "UnknownCall",
    "Usage",
    "Validation",
    "WebhookDelivery",
    "WebhookDeliveryPage",
    "WebhookEndpoint",
    "WebhookEndpointData",
    "WebhookEndpointEvent",
    "WebhookEndpointPage",
    "WebhookEndpointPatch",
    "WebhookEndpointRequest",
    "WebhookSecret",
    "WebhookTestData",
    "WebhookTestEvent",
)
