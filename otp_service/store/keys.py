"""Every key name that exists in Redis, in one place. No name holds a number, an address or a key in clear.

| key                       | type   | holds                                          | life                         |
|----------------------------|------|---------------------------------------------|------------------------------|
| `P:{NN}:v:<id>`           | hash   | a verification, then its tombstone             | ttl + 2 h; 2 h from its end  |
| `P:{NN}:t:<id>`           | list   | its tries, each a list in JSON                 | 72 h                         |
| `P:{NN}:s:<scope>`        | string | the latest id of "the four", and its cooldown  | as long as either matters    |
| `P:{NN}:r:<recipient>`    | zset   | sends to one recipient                         | the longest window           |
| `P:{NN}:p:<prefix>`       | zset   | sends to a recipient and its neighbours        | the longest window           |
| `P:{NN}:ok:<recipient>`   | string | this recipient was approved here               | 90 days                      |
| `P:{NN}:f:<owner>`        | zset   | wrong codes for one recipient, of one client   | the longest window           |
| `P:{NN}:f:<owner>:<device>` | zset | the same, on a device that is known         | the longest window           |
| `P:{NN}:n:<owner>`         | string | wrong codes in a row                        | 366 days from the last       |
| `P:{NN}:d:<owner>`         | zset   | devices on which the recipient was approved | 90 days from the last        |
| `P:{NN}:rc:<channel>:<r>`   | zset   | sends to one recipient by one channel       | the longest window           |
| `P:{NN}:l:<owner>`         | list   | latest ids that no sessionless scope names | ttl + 2 h |
| `P:{NN}:x:<owner>`         | string | this recipient wants nothing of this client | two years                    |
| `P:{NN}:pg:<prefix>`       | hash   | the pumping guard's test of a prefix        | 30 d from its last send      |
| `P:{NN}:guarded`           | zset   | prefixes by the end of their latest block   | 1 d; at most 1,000           |
| `P:{guard}:c:<region>`     | hash   | the same test of a country                  | 30 d from its last send      |
| `P:{guard}:control`        | hash   | known recipients' sends and approvals       | 5 min                        |
| `P:{guard}:held`           | hash   | countries that are held                     | 1 d; one field a country     |
| `P:{NN}:w:<id>`            | list   | the first outcome, for a start that waits   | 10 s                         |
| `P:{NN}:outbox`            | stream | sends that wait                             | none: bounded by `outbox_max` |
| `P:{NN}:later`             | zset   | sends that are put off, by their next round | none: bounded by `outbox_max` |
| `P:{NN}:due`               | zset   | moments: looks, ends of lives, approvals    | none: two members a record   |
| `P:{NN}:dead`              | stream | sends that no worker could work on          | none: the latest 1,000       |
| `P:{NN}:events`            | stream | what subscribers are to be told             | none: the latest 100,000     |
| `P:events`                | stream | the same, of the installation                  | none: bounded by a length |
| `P:{h:<webhook>}:due`     | zset   | moments at which its waiting events are sent   | 5 days                       |
| `P:{h:<webhook>}:hooks`   | hash   | its waiting events, the number's mask sealed   | 5 days                       |
| `P:{h:<webhook>}:done`    | zset   | the latest events that were dealt with         | 15 min                       |
| `P:{h:<webhook>}:gone:<url>` | string | when that address said 410                  | 30 days from the last look   |
| `P:g:<name>`               | string | the try that a gateway's id stands for      | 72 h                         |
| `P:c:{<channel>}`          | hash   | a channel's breaker, score, pause, balance  | none: one a channel          |
| `P:cf:{<channel>}:<span>`  | hash   | its outcomes and latencies in ten minutes   | 3 h                          |
| `P:pauses`                 | hash   | sends that an operator holds back           | none: what an operator wrote |
| `P:revoked`                | hash   | ids of API keys that are revoked            | none: at most 1,000          |
| `P:{reports}:heard`       | stream | what gateways said later, not acted on yet     | none: the latest 100,000     |
| `P:{reports}:orphans`     | zset   | of it, what waits for its try to be known      | none: at most 20,000         |
| `P:lease:<work>`          | string | who does what one worker does at a time        | minutes                      |
| `P:workers`                | zset   | workers, by the moment of their latest sign | none: who is silent is dropped |
| `P:worker:<name>`          | string | what a worker says of itself, JSON          | 10 s                         |
| `P:i:<claim>`              | hash   | an Idempotency-Key                          | 2 h                          |
| `P:cap:<token>`            | string | the request that spent a CAPTCHA token      | 10 min                       |
| `P:b:<limit>:<name>`       | zset   | sends counted for an address, a client, …   | the longest window           |
| `P:{m:<limit>:<name>}:spent` | hash | what a client or everybody spent, by the hour | 25 h                       |
| `P:{m:<limit>:<name>}:by:<nonce>` | string | one send's price, to give it back      | 1 min                        |
| `P:brake:<client>`         | hash   | how many of its verifications fail          | 1 day from the last failure  |
| `P:audit`                  | stream | administrative acts, the latest 100,000     | 400 d, and 400 d from the last |

Lives of 2 h (but a claim's), 72 h, 90 and 400 days are what `[retention]` says unless it is told otherwise.

`{NN}` stands for a partition's tag, one of `TAGS`. What is in braces decides the slot of a cluster, so what must change
together lies in one: a partition, a webhook, a channel, the reports, the guard, what one client spends of one limit.
No script and no command touches two.
"""

from __future__ import annotations

TAGS = (
    "nbd", "ope", "3el", "g95", "bgq", "cup", "bc1", "cq0", "nsf", "oag", "3tn", "2fo", "bvs", "cdr", "br3", "6jb",
    "1cj", "0qk", "dmz", "mvc", "5og", "aw6", "hho", "asv", "dx8", "ej9", "d8p", "eny", "bTw", "af4", "hym", "abt",
)  # fmt: skip
"""By partition: the first three characters whose slot is 512 × partition + 256.

Masters share the 16,384 slots in equal ranges, so of 32 partitions that lie as far from one another as they can, each
master of an equal share has an equal number, or one more. Tags `00` to `31` would give three masters 15, 9 and 8.
"""


class Keys:
    """Names under one prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._tags = [f"{prefix}:{{{tag}}}" for tag in TAGS]

    def record(self, partition: int, id: str) -> str:
        return f"{self._tags[partition]}:v:{id}"

    def tries(self, partition: int, id: str) -> str:
        return f"{self._tags[partition]}:t:{id}"

    def scope(self, partition: int, scope: str) -> str:
        return f"{self._tags[partition]}:s:{scope}"

    def recipient(self, partition: int, recipient: str) -> str:
        return f"{self._tags[partition]}:r:{recipient}"

    def failures(self, partition: int, owner: str) -> str:
        return f"{self._tags[partition]}:f:{owner}"

    def device_failures(self, partition: int, owner: str, device: str) -> str:
        return f"{self._tags[partition]}:f:{owner}:{device}"

    def failed(self, partition: int, owner: str) -> str:
        return f"{self._tags[partition]}:n:{owner}"

    def devices(self, partition: int, owner: str) -> str:
        return f"{self._tags[partition]}:d:{owner}"

    def prefix(self, partition: int, prefix: str) -> str:
        return f"{self._tags[partition]}:p:{prefix}"

    def approved(self, partition: int, recipient: str) -> str:
        return f"{self._tags[partition]}:ok:{recipient}"

    def recipient_at(self, partition: int, channel: str, recipient: str) -> str:
        return f"{self._tags[partition]}:rc:{channel}:{recipient}"

    def recent(self, partition: int, owner: str) -> str:
        return f"{self._tags[partition]}:l:{owner}"

    def suppressed(self, partition: int, owner: str) -> str:
        return f"{self._tags[partition]}:x:{owner}"

    def guarded_prefix(self, partition: int, prefix: str) -> str:
        return f"{self._tags[partition]}:pg:{prefix}"

    def guarded(self, partition: int) -> str:
        return f"{self._tags[partition]}:guarded"

    def guarded_country(self, region: str) -> str:
        return f"{self._prefix}:{{guard}}:c:{region}"

    def guard_control(self) -> str:
        return f"{self._prefix}:{{guard}}:control"

    def guard_held(self) -> str:
        return f"{self._prefix}:{{guard}}:held"

    def waiting(self, partition: int, id: str) -> str:
        return f"{self._tags[partition]}:w:{id}"

    def later(self, partition: int) -> str:
        return f"{self._tags[partition]}:later"

    def dead(self, partition: int) -> str:
        return f"{self._tags[partition]}:dead"

    def expected_report(self, name: str) -> str:
        return f"{self._prefix}:g:{name}"

    def channel(self, name: str) -> str:
        return f"{self._prefix}:c:{{{name}}}"

    def figures(self, channel: str, span: int) -> str:
        return f"{self._prefix}:cf:{{{channel}}}:{span}"

    def reports(self) -> str:
        return f"{self._prefix}:{{reports}}:heard"

    def orphans(self) -> str:
        return f"{self._prefix}:{{reports}}:orphans"

    def lease(self, work: str) -> str:
        return f"{self._prefix}:lease:{work}"

    def pauses(self) -> str:
        return f"{self._prefix}:pauses"

    def revoked(self) -> str:
        return f"{self._prefix}:revoked"

    def workers(self) -> str:
        return f"{self._prefix}:workers"

    def worker(self, name: str) -> str:
        return f"{self._prefix}:worker:{name}"

    def outbox(self, partition: int) -> str:
        return f"{self._tags[partition]}:outbox"

    def due(self, partition: int) -> str:
        return f"{self._tags[partition]}:due"

    def events(self, partition: int) -> str:
        return f"{self._tags[partition]}:events"

    def installation_events(self) -> str:
        return f"{self._prefix}:events"

    def hooks_due(self, webhook: str) -> str:
        return f"{self._of(webhook)}:due"

    def hooks(self, webhook: str) -> str:
        return f"{self._of(webhook)}:hooks"

    def hooks_done(self, webhook: str) -> str:
        return f"{self._of(webhook)}:done"

    def hooks_gone(self, webhook: str, url: str) -> str:
        return f"{self._of(webhook)}:gone:{url}"

    def _of(self, webhook: str) -> str:
        return f"{self._prefix}:{{h:{webhook}}}"

    def claim(self, name: str) -> str:
        return f"{self._prefix}:i:{name}"

    def spent(self, limit: str, name: str) -> str:
        return f"{self._prefix}:{{m:{limit}:{name}}}:spent"

    def spent_by(self, limit: str, name: str, nonce: str) -> str:
        return f"{self._prefix}:{{m:{limit}:{name}}}:by:{nonce}"

    def brake(self, client: str) -> str:
        return f"{self._prefix}:brake:{client}"

    def captcha(self, name: str) -> str:
        return f"{self._prefix}:cap:{name}"

    def bucket(self, limit: str, name: str) -> str:
        return f"{self._prefix}:b:{limit}:{name}"

    def audit(self) -> str:
        return f"{self._prefix}:audit"
