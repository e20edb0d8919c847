"""`gardien machine`: the disks, and what was read of the machine."""

import click

from gardien.faces.session import Session, answers
from gardien.words import N_


@click.command()
@answers
def machine(session: Session) -> None:
    """The machine itself: its disks, when they will be full, its warmth, its certificates."""
    from gardien.faces.terminal import Terminal, sentence, table  # noqa: PLC0415

    data = session.daemon.get("machine")

    def show(terminal: Terminal) -> None:
        faults = {"read-only": N_("cannot be written to"), "broken": N_("answers with errors")}
        rows = [[terminal.tr(each) for each in (N_("Disk"), N_("Free"), "")]]
        for disk in data["disks"]:
            free = terminal.tr(
                N_("{free} of {total}"), free=terminal.size(disk["free"]), total=terminal.size(disk["total"])
            )
            wrong = faults.get(disk["fault"]) or ("" if disk["present"] else N_("not there"))
            remark = click.style(terminal.tr(wrong), fg="red") if wrong else disk["forecast"] or ""
            rows.append([disk["path"], free if disk["present"] else "", remark])
        table(rows)
        read = [
            [each["label"], each["subject"], each["shown"], sentence(each["says"]) if each["says"] else ""]
            for each in data["readings"]
            if not each["what"].startswith("disk-")
        ]
        click.echo()
        if read:
            table(read)
        else:
            terminal.say(N_("Nothing was read yet."))

    session.show(data, show)
