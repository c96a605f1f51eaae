"""Codes and routes of cases, and how far each role reaches. This is the one table of that.

Case workers, supervisors and viewers see every case: in a small organisation work is handed over daily, and
a case that not everybody should see is marked restricted, which holds whatever the scope.

Agents see their team's cases, and beyond those the unfinished cases of whoever they have on the line, from
the first ring until an hour after the talk (queries.visible): callers reach whoever is free, ask about "my
case", and must not be told that there is none, nor be asked to tell everything again. The agent may also add
to such a case, since what the caller says belongs into it, or watch it. They may not give it away or take it,
delete it or merge it; its restricted and sensitive parts stay shut, finished cases too. When the number is
unknown, the agent finds the contact by asking who it is and sets it on the call. All of this is audited, like
every look at a case. All cases to all agents would be simpler, and would lay every client's story open to
whoever answers telephones.

What no person owns (from a form or another system) is in the pool: who sees all cases, or a rule with
`case.assign`, gives it out. An organisation that wants other reaches changes its roles, not this.
"""

from __future__ import annotations

from web.shared.accounts.registry import permission, resource, route

VIEW = permission("cases.view", "See cases", all=["supervisor", "case_worker", "viewer"], team=["agent"])
EDIT = permission("cases.edit", "Add and change cases", all=["supervisor", "case_worker"], team=["agent"])
DELETE = permission("cases.delete", "Delete cases", all=["supervisor"])
ASSIGN = permission("cases.assign", "Give cases to people", all=["supervisor", "case_worker"], team=["agent"])
MERGE = permission("cases.merge", "Merge cases, and undo it", all=["supervisor", "case_worker"])
BULK = permission("cases.bulk", "Change many cases at once", all=["supervisor", "case_worker"])
VIEW_RESTRICTED = permission("cases.view_restricted", "See every restricted case", all=["supervisor"])
VIEW_SENSITIVE = permission(
    "cases.view_sensitive", "See sensitive fields of cases", all=["supervisor", "case_worker"]
)
EXPORT = permission("cases.export", "Export cases", all=["supervisor"])
HOLD = permission("cases.hold", "Put cases under legal hold", all=["supervisor"])
EDIT_NOTES = permission("cases.edit_notes", "Change and delete notes of others", all=["supervisor"])
CONFIGURE = permission(
    "cases.configure", "Change forms, SLA policies, calendars and shared views", all=["supervisor"]
)
SAVE_VIEWS = permission(
    "cases.save_views", "Save views of the case list", all=["supervisor", "case_worker", "agent"]
)

resource("cases:case", view=VIEW, edit=EDIT, delete=DELETE)
route("cases:history-list", GET=VIEW)
route("cases:case-timeline", GET=VIEW)
route("cases:case-sla", GET=VIEW)
route("cases:case-assign", POST=ASSIGN)
route("cases:case-acknowledge", POST=VIEW)
route("cases:case-transition", POST=EDIT)
route("cases:case-merge", POST=MERGE)
route("cases:case-bulk", POST=BULK)
route("cases:exports", POST=EXPORT)
resource("cases:party", view=VIEW, edit=EDIT)
resource("cases:link", view=VIEW, edit=EDIT)
resource("cases:watcher", view=VIEW, edit=EDIT)
resource("cases:note", view=VIEW, edit=EDIT)
route("cases:note-versions", GET=VIEW)
route("cases:merge-list", GET=MERGE)
route("cases:merge-detail", GET=MERGE)
route("cases:merge-undo", POST=MERGE)
resource("cases:form", view=VIEW, edit=CONFIGURE)
resource("cases:sla-policy", view=VIEW, edit=CONFIGURE)
resource("cases:calendar", view=VIEW, edit=CONFIGURE)
resource("cases:view", view=VIEW, edit=SAVE_VIEWS)
