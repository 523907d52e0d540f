"""One GET."""
import http.client

from lib.waiting import SLOW


def fetch(address, path):
    connection = http.client.HTTPConnection(*address, timeout=8 * SLOW)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (answer.status, body)
        return body
    finally:
        connection.close()
