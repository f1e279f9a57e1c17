"""Which address is which page. Names and numbers in addresses are looked up in databases and are never paths."""

from __future__ import annotations

from django.urls import path

from appion.web.views import facility, session

SESSION = "session/<str:name>/"

urlpatterns = [
    path("", facility.showFacility, name="facility"),
    path("facility.json", facility.answerFacility, name="facility-json"),
    path(SESSION, session.showSession, name="session"),
    path(f"{SESSION}series.json", session.answerSeries, name="series"),
    path(f"{SESSION}columns.json", session.answerColumns, name="columns"),
]

handler400 = "appion.web.views.errors.refuseQuestion"
handler403 = "appion.web.views.errors.refuseVisitor"
handler404 = "appion.web.views.errors.findNothing"
handler500 = "appion.web.views.errors.admitFault"
