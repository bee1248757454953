"""Any HTTP gateway, by its configuration alone: what to send, and which answers mean what."""

from otp_service.channels.http_template.channel import HttpTemplateChannel
from otp_service.channels.http_template.settings import HttpTemplateSettings

__all__ = ["HttpTemplateChannel", "HttpTemplateSettings"]
