"""A client of Murima's REST API: one method for each operation, types for each body, nothing else needed.

    from murima_client import Client

    client = Client("https://mto.example.org", key="mrk_live_...")
    made = client.contacts_create({"first_name": "Amina"})
    for contact in client.contacts_list(q="amina"):     # every page, as it is needed
        print(contact["name"])

`operations.py` and `bodies.py` are generated from the API's description by clients/python/generate.py.
"""

from murima_client.operations import Client
from murima_client.transport import Answer, MurimaError, Transport, Unreachable
from murima_client.webhooks import NotSigned, verified

__all__ = ["Answer", "Client", "MurimaError", "NotSigned", "Transport", "Unreachable", "verified"]
