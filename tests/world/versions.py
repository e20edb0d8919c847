"""An application with versions, each a real image at a real registry on loopback; each finds data, and changes it."""

import random
from pathlib import Path

from tests.contracts.docks import IMAGE, make_image
from tests.world.box import Box, docker, free_port
from tests.world.registry import RegistryHost

STACK = "ledger"
FIRST = "1.0.0"
ROWS = ["Anna 10:00", "Bertrand 11:00"]
SIZE = 200_000  # bytes of a version's own layer

_SCRIPT = r"""
        test -e /srv/database || printf '%s\nAnna 10:00\nBertrand 11:00\n-- whole\n' "$$VERSION" > /srv/database;
        was="$$(head -n 1 /srv/database)";
        case " $$FROM " in *" $$was "*)
          sed -i -e "1s/.*/$$VERSION/" -e "/^[AB]/s/$$/ as of $$VERSION/" /srv/database;
          echo "$$VERSION" > /srv/schema ;;
        esac;
        echo "this is $$VERSION, in a $$MOOD mood";
        case "$$MOOD" in crash) exit 3 ;; dies*) (sleep "$${MOOD#dies}"; kill 1) & ;; esac;
        says="$$VERSION"; test "$$MOOD" != former || says=1.0.0;
        while :; do
          ok=false;
          test "$$MOOD" = sick || test "$$(head -n 1 /srv/database)" != "$$VERSION" || ok=true;
          call="$$(test -e /srv/call && echo true || echo false)";
          printf '{"ok": %s, "version": "%s", "call": %s}' "$$ok" "$$says" "$$call" > /srv/health.new;
          mv /srv/health.new /srv/health.json;
          sleep 0.3;
        done &
        trap 'exit 4' TERM;
        httpd -f -p 8080 -h /srv & wait
"""


def compose_file(repository: str) -> str:
    """As an owner would write it; its image lies in `repository`."""
    return f"""
services:
  app:
    image: ${{LEDGER_IMAGE:-{repository}:{FIRST}}}
    restart: unless-stopped
    security_opt: ["no-new-privileges:true"]
    logging: {{driver: json-file, options: {{max-size: 10m, max-file: "3"}}}}
    stop_grace_period: 0.1s
    command:
      - sh
      - -c
      - |
{_SCRIPT}
    ports: ["127.0.0.1:${{LEDGER_PORT:-8092}}:8080"]
    volumes:
      - {{type: bind, source: "${{DATA:-./data}}/srv", target: /srv, bind: {{create_host_path: false}}}}

x-gardien:
  format: 1
  title: {{en: Ledger, fr: Registre}}
  summary: {{en: Rows., fr: Des lignes.}}
  address: "http://127.0.0.1:{{LEDGER_PORT}}/"
  settings:
    LEDGER_PORT: {{kind: port, default: "8092", ask: {{en: Port, fr: Port}}}}
  needs: {{memory: 10, disk: 1, images: 5}}
  folders:
    srv: {{mode: "0755"}}
  probes:
    app:
      http: "http://127.0.0.1:{{LEDGER_PORT}}/health.json"
      expect: {{json: {{ok: true}}}}
      period: 1
      start_period: 2
  backup:
    pause: [{{exec: app, argv: [sh, -c, 'echo paused > /srv/paused']}}]
    resume: [{{exec: app, argv: [sh, -c, 'rm -f /srv/paused']}}]
    dumps:
      database.txt: {{exec: app, argv: [cat, /srv/database], whole: "^-- whole"}}
    save: [srv]
    leave_out:
      srv/database: {{en: The dump stands for it., fr: L'export en tient lieu.}}
      srv/health*: {{en: Written all the time., fr: Écrit sans cesse.}}
  restore:
    first: [app]
    load: [{{exec: app, argv: [sh, -c, 'cat > /srv/database'], input: database.txt}}]
    after: [{{exec: app, argv: [sh, -c, 'rm -f /srv/paused']}}]
  updates:
    images:
      LEDGER_IMAGE:
        tags: '^(?P<major>\\d+)\\.(?P<minor>\\d+)\\.(?P<patch>\\d+)$$'
        majors: one-at-a-time
        version:
          http: "http://127.0.0.1:{{LEDGER_PORT}}/health.json"
          expect: {{json: {{version: "{{VERSION}}"}}}}
    busy:
      http: "http://127.0.0.1:{{LEDGER_PORT}}/health.json"
      expect: {{json: {{call: true}}}}
    after: [{{exec: app, argv: [sh, -c, 'test "$$MOOD" != clumsy']}}]
"""


class Makers:
    """Who makes the application: what they make lies at the registry, not on this machine. `clear` at the end."""

    def __init__(self, registry: RegistryHost, name: str = "") -> None:
        """`name`: of what stands before the registry."""
        self.registry = registry
        self.repository = f"{name or registry.name}/ledger"
        self.made: list[str] = []
        self._count = 0
        make_image()
        base = f"{registry.name}/ledger:base"
        docker("tag", IMAGE, base)
        docker("push", base)
        docker("rmi", base)
        self.release(FIRST)

    def release(self, tag: str, mood: str = "good", version: str | None = None) -> str:
        """A version is there, of the `mood` good, sick, crash, dies3, former or clumsy. Its digest."""
        former = " ".join(each for each in self.made if each != tag)
        self._count += 1
        content = random.Random(self._count).randbytes(SIZE)
        environment = {"VERSION": version or tag, "MOOD": mood, "FROM": former}
        digest = self.registry.put_above("ledger", "base", tag, content, environment)
        self.made.append(tag)
        return digest

    def here(self) -> list[str]:
        """Which versions lie on this machine, by their digests."""
        return docker("image", "ls", "--digests", "--format", "{{.Digest}}", self.repository).split()

    def clear(self) -> None:
        """Nothing of it stays at the engine."""
        form = "{{.Repository}}:{{.Tag}} {{.Repository}}@{{.Digest}}"
        names = docker("image", "ls", "--digests", "--format", form, self.repository).split()
        if names := [each for each in names if "<none>" not in each]:
            docker("rmi", "--force", *names, check=False)


def lay_out(box: Box, makers: Makers) -> Path:
    """Put the stack's folder where an owner would."""
    folder = box.root / "owner" / "stacks" / STACK
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compose.yaml").write_text(compose_file(makers.repository))
    return folder


def add(box: Box) -> None:
    """Add it; its first version runs."""
    box.gardien("stack", "add", STACK, "--set", f"LEDGER_PORT={free_port()}")


def state(box: Box) -> tuple[str, list[str], str | None]:
    """What runs, the rows of its database, and the file that an upgrade leaves."""
    image = docker("inspect", "--format", "{{.Config.Image}}", f"{box.prefix}-{STACK}-app-1").strip()
    version, *rows = (box.data / STACK / "srv" / "database").read_text().splitlines()
    schema = box.data / STACK / "srv" / "schema"
    tag = image.partition("@")[0].rpartition(":")[2]
    assert version == tag, f"{version} is what {tag} runs on"
    return (
        tag,
        [row for row in rows if not row.startswith("--")],
        schema.read_text().strip() if schema.exists() else None,
    )
