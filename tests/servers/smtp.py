"""A mail server for tests, made of aiosmtpd: tests/servers/smtp.py --port PORT --out FILE [...]

Each mail that it takes becomes a line of JSON in FILE. --rcpt ADDRESS=ANSWER rejects a recipient,
--data ANSWER answers the next mail that is handed over; both may be given several times.
"""

import argparse
import asyncio
import email
import email.policy
import json
import ssl

from aiosmtpd.smtp import SMTP, AuthResult

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--out", required=True)
parser.add_argument("--tls", choices=["none", "starttls", "implicit"], default="none")
parser.add_argument("--cert")
parser.add_argument("--key")
parser.add_argument("--user")
parser.add_argument("--password")
parser.add_argument("--no-plain", action="store_true")
parser.add_argument("--rcpt", action="append", default=[])
parser.add_argument("--data", action="append", default=[])
options = parser.parse_args()

rejected = dict(pair.split("=", 1) for pair in options.rcpt)
answers = list(options.data)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address in rejected:
            return rejected[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if answers:
            answer = answers.pop(0)
            if not answer.startswith("250"):
                return answer
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)

        def part(kind):
            found = mail.get_body((kind,))
            return found and found.get_content()

        line = {
            "from": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "hello": session.host_name,
            "encrypted": server.transport.get_extra_info("ssl_object") is not None,
            "user": session.auth_data and session.auth_data.decode(),
            "headers": {name: str(value) for name, value in mail.items()},
            "plain": part("plain"),
            "html": part("html"),
            "attachments": [
                [part.get_filename(), part.get_content_type(), part.get_content()]
                for part in mail.iter_attachments()
            ] if mail.get_content_type() == "multipart/mixed" else [],
        }
        with open(options.out, "a") as out:
            out.write(json.dumps(line) + "\n")
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    good = (data.login.decode(), data.password.decode()) == (options.user, options.password)
    # Not handled: the server itself says so.
    return AuthResult(success=good, handled=False, auth_data=data.login)


context = None
if options.tls != "none":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.cert, options.key)


def session():
    return SMTP(
        Handler(),
        hostname="mail.test",
        tls_context=context if options.tls == "starttls" else None,
        require_starttls=options.tls == "starttls",
        authenticator=authenticate if options.user else None,
        auth_required=options.user is not None,
        auth_require_tls=options.tls == "starttls",
        auth_exclude_mechanism=["PLAIN"] if options.no_plain else [],
    )


async def main():
    implicit = context if options.tls == "implicit" else None
    server = await asyncio.get_running_loop().create_server(
        session, "127.0.0.1", options.port, ssl=implicit
    )
    await server.serve_forever()


asyncio.run(main())
