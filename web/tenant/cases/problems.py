"""What only cases refuse."""

from __future__ import annotations

from web.shared.api.problems import Conflict, FieldError, Invalid


class IllegalTransition(Conflict):
    code, title = "illegal_transition", "The case cannot go there from where it is"
    meaning = "`allowed` lists the statuses that may follow the present one."


class MergedAway(Conflict):
    code, title = "merged_away", "This case was merged into another one"
    meaning = "`merged_into` names the case that took its place."


class CannotUndo(Conflict):
    code, title = "cannot_undo", "This merge cannot be undone now"
    meaning = "Merges are undone in the reverse of their order, the newest first, and each once."


class NotDone(Conflict):
    code, title = "not_done", "Nothing was changed, because some cases were refused"
    meaning = "`results` says of each case whether it could have been changed, and why not."


def refused(pointer: str, code: str, detail: str) -> Invalid:
    """A 422 about one place in the body."""
    return Invalid(errors=[FieldError(pointer, code, detail)])


def unknown(pointer: str) -> Invalid:
    """There is no such thing for you; whether it exists elsewhere is not said."""
    return refused(pointer, "does_not_exist", "There is nothing with this id.")
