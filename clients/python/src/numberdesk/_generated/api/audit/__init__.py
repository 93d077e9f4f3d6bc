"""The operations of one tag"""

from .export_audit import export_audit
from .list_audit import list_audit

__all__ = [
    "export_audit",
    "list_audit",
]
