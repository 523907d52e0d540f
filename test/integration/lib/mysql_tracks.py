"""What the session trackers of a server say: the session state information of OK packets."""
from lib.mysql_speaker import Fields, Speaker

NOISE = ("statement_id", "last_gtid")  # what servers tell of themselves
ON = ("SET SESSION session_track_system_variables='*', session_track_schema=ON,"
      " session_track_state_change=ON, session_track_transaction_info='CHARACTERISTICS'")
VARIABLE, SCHEMA, STATE, GTIDS, CHARACTERISTICS, TRANSACTION = range(6)


def _told(kind, body):
    f = Fields(body)
    if kind == VARIABLE:
        return f"{f.text().decode()}={f.text().decode('latin-1')}"
    if kind == STATE:
        assert body == b"1", body
        return "state"
    return {SCHEMA: "schema", CHARACTERISTICS: "next",
            TRANSACTION: "now"}[kind] + ":" + f.text().decode()


def told(answer):
    """What the OK packets of an answer say, in their order but the variables sorted: "name=value",
    "schema:name", "state", "next:statements", "now:letters"."""
    found = []
    for result in answer.results:
        if result.ok is None:
            continue
        f, variables = Fields(result.ok.state), []
        rest = []
        while f.at < len(f.data):
            kind = f.integer(1)
            body = f.text()
            if kind == VARIABLE:
                variables.append(_told(kind, body))
            elif kind != GTIDS:
                rest.append(_told(kind, body))
        found += sorted(v for v in variables if v.split("=")[0] not in NOISE) + rest
    return found


class Tracked(Speaker):
    """With the trackers on."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.query(ON)

    def tell(self, text):
        """What the statement makes the server tell; None: it was refused."""
        answer = self.ask(text)
        return None if answer.error else told(answer)
