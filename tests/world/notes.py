"""The smallest stack there is: one folder with a Compose file, as an owner would write it. It starts in a second."""

from pathlib import Path

from tests.contracts.docks import make_image
from tests.world.box import Box, free_port

NEEDS = "needs: {memory: 10, disk: 1, images: 5}"


def compose_file(name: str = "notes", more: str = "", needs: str = NEEDS) -> str:
    """A page that says how it feels, a "database" in one file, files beside it. `more` goes under `x-gardien`."""
    return f"""
services:
  app:
    image: ${{BUSYBOX_IMAGE:-gardien-test/busybox:1}}
    restart: unless-stopped
    security_opt: ["no-new-privileges:true"]
    logging: {{driver: json-file, options: {{max-size: 10m, max-file: "3"}}}}
    stop_grace_period: 0.1s
    environment: {{MOOD: "${{MOOD:-good}}", GREETING: "${{GREETING:-hello}}", TOKEN: "${{TOKEN:-}}"}}
    command:
      - sh
      - -c
      - >-
        echo "{{\\"ok\\": $$(test "$$MOOD" = sick && echo false || echo true)}}" > /srv/health.json;
        test -e /srv/database || echo "-- whole" > /srv/database;
        exec httpd -f -p 8080 -h /srv
    ports: ["127.0.0.1:${{NOTES_PORT:-8091}}:8080"]
    volumes:
      - {{type: bind, source: "${{DATA:-./data}}/srv", target: /srv, bind: {{create_host_path: false}}}}

x-gardien:
  format: 1
  title: {{en: "Notes {name}", fr: "Notes {name}"}}
  summary: {{en: A page., fr: Une page.}}
  address: "http://127.0.0.1:{{NOTES_PORT}}/"
  settings:
    NOTES_PORT: {{kind: port, default: "8091", ask: {{en: Port, fr: Port}}}}
    MOOD: {{kind: name, default: good, ask: {{en: Mood, fr: Humeur}}}}
    GREETING: {{kind: text, default: hello, ask: {{en: Greeting, fr: Salutation}}}}
  secrets:
    TOKEN: {{length: 24, show_once: true}}
  {needs}
  folders:
    srv: {{mode: "0755"}}
  probes:
    app:
      http: "http://127.0.0.1:{{NOTES_PORT}}/health.json"
      expect: {{json: {{ok: true}}}}
      period: 1
      start_period: 2
  backup:
    pause: [{{exec: app, argv: [sh, -c, 'echo paused > /srv/paused']}}]
    resume: [{{exec: app, argv: [sh, -c, 'echo > /srv/paused']}}]
    dumps:
      database.txt: {{exec: app, argv: [cat, /srv/database], whole: "^-- whole"}}
    save: [srv]
    leave_out:
      srv/database: {{en: The dump stands for it., fr: L'export en tient lieu.}}
  restore:
    first: [app]
    load: [{{exec: app, argv: [sh, -c, 'cat > /srv/database'], input: database.txt}}]
{more}"""


def lay_out(box: Box, name: str = "notes", text: str | None = None) -> Path:
    """Put the folder where an owner would; nothing else is done to make it known."""
    make_image()
    folder = box.root / "owner" / "stacks" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compose.yaml").write_text(compose_file(name) if text is None else text)
    return folder


def add(box: Box, name: str = "notes", *more: str) -> int:
    """Add it; the port it answers on."""
    port = free_port()
    box.gardien("stack", "add", name, "--set", f"NOTES_PORT={port}", *more)
    return port
