"""Errors of identity that have a name of their own."""

from __future__ import annotations

from web.shared.api.problems import BadCredentials, Conflict, Forbidden, Problem


class LastAdministrator(Conflict):
    status, code, title = 409, "last_administrator", "Somebody must be able to manage people"
    meaning = "The change would leave the organisation without an active member who may manage all people."


class BeyondYourRights(Forbidden):
    status, code, title = 403, "beyond_your_rights", "You cannot give or change rights that you do not hold"
    meaning = "`permission` names one code that the role has and you lack, or hold with a smaller scope."


class SecondFactorRefused(BadCredentials):
    status, code, title = 401, "second_factor_refused", "The code or passkey was not accepted"
    meaning = "Wrong, late, used before, or the sign-in it belongs to is over. Begin again with the password."


class EnrolmentRequired(Forbidden):
    status, code, title = 403, "mfa_enrolment_required", "Set up a second factor first"
    meaning = "Your role here must use one. Only the endpoints under /api/v1/auth/mfa/ answer until you did."


class PasswordNeeded(Forbidden):
    status, code, title = 403, "password_needed", "Prove your password again"
    meaning = "What lets people in changes only with the present password, sent as `current_password`."


class LinkRefused(Problem):
    status, code, title = 422, "link_refused", "This link does not work any more"
    meaning = (
        "It was used, withdrawn, replaced by a newer one, is too old, or belongs to another organisation."
    )


class FederationRefused(Problem):
    status, code, title = 403, "federation_refused", "Your identity provider's answer was refused"
    meaning = "`reason` says which check failed. Nobody was signed in."
