"""A stack's manifest together with the owner's answers: do they fit, and what Compose is told of them."""

from collections.abc import Mapping

from gardien.errors import BadInput
from gardien.model.fault import Fault, Faults, nearest
from gardien.model.stack import Recipe, Stack
from gardien.rules.env import write_env
from gardien.rules.kinds import misfit
from gardien.words import N_, Words


def misfits(recipe: Recipe, values: Mapping[str, str]) -> list[Fault]:
    """The faults of answers to a stack's questions, or of images chosen for it."""
    kinds = {name: setting.kind for name, setting in recipe.manifest.settings.items()}
    known: dict[str, str] = {**kinds, **dict.fromkeys(recipe.image_defaults, "image")}
    faults = []
    for key, value in values.items():
        if key in known:
            faults.append(misfit(known[key], key, value))
        else:
            says = Words.of(N_("{stack} has no setting {key}"), stack=recipe.name, key=key)
            faults.append(Fault((key,), says, nearest(key, known)))
    return [fault for fault in faults if fault]


def check_settings(recipe: Recipe, values: Mapping[str, str]) -> None:
    """Raise `Faults` (a `BadInput`) unless every value may be given to this stack."""
    if faults := misfits(recipe, values):
        raise Faults(faults)


def env_file(stack: Stack, secrets: Mapping[str, str]) -> str:
    """What Compose is given for this stack: DATA, settings, images, secrets.

    Raises BadInput for a value that does not fit its kind, or a secret that is missing: Compose would put its default.
    """
    check_settings(stack.recipe, {**stack.settings, **stack.images})
    missing = [name for name in stack.manifest.secrets if not secrets.get(name)]
    if missing:
        raise BadInput(
            N_("the secrets of {stack} lack {names}"),
            N_("Bring the file of its secrets back from a backup; new ones would not open the old data."),
            stack=stack.name,
            names=", ".join(missing),
        )
    wanted = {name: secrets[name] for name in stack.manifest.secrets}
    return write_env({"DATA": str(stack.home), **stack.settings, **stack.images, **wanted})
