"""SMPP 3.4, as a transceiver: the protocol of carriers' own message centres (SMSC).

The client is ours and needs no library. aiosmpplib 0.7.4 was read for it and left: it has no TLS; what it is given lies
in a queue of its own, from which nothing is withdrawn at a deadline, so that "nothing left" can't be said; it keeps
which answer belongs to which request only after the request is written, and a quick answer is lost; it believes any
length of a PDU; and it logs PDUs and messages, which hold numbers and codes.
"""

from otp_service.channels.smpp.channel import SmppChannel
from otp_service.channels.smpp.settings import SmppSettings

__all__ = ["SmppChannel", "SmppSettings"]
