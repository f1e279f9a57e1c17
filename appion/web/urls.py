"""Which address is which page. Names and numbers in addresses are looked up in databases and are never paths."""

from __future__ import annotations

from django.urls import path

from appion.web.views import curation, exposure, facility, pictures, session

SESSION = "session/<str:name>/"
EXPOSURE = f"{SESSION}exposure/<int:exposure>/"

urlpatterns = [
    path("", facility.showFacility, name="facility"),
    path("facility.json", facility.answerFacility, name="facility-json"),
    path(SESSION, session.showSession, name="session"),
    path(f"{SESSION}series.json", session.answerSeries, name="series"),
    path(f"{SESSION}columns.json", session.answerColumns, name="columns"),
    path(f"{SESSION}squares.json", session.answerSquares, name="squares"),
    path(f"{SESSION}picture/<int:image>.jpg", pictures.sendPicture, name="picture"),
    path(f"{SESSION}thumb/<int:exposure>.jpg", pictures.sendThumbnail, name="thumb"),
    path(f"{SESSION}drift/<int:exposure>.png", pictures.sendDriftPlot, name="drift"),
    path(f"{SESSION}spectrum/<int:exposure>.jpg", pictures.sendSpectrum, name="spectrum"),
    path(EXPOSURE, exposure.showExposure, name="exposure"),
    path(f"{EXPOSURE}hide", curation.hide, name="hide"),
    path(f"{EXPOSURE}unhide", curation.unhide, name="unhide"),
    path(f"{EXPOSURE}retry", curation.retry, name="retry"),
]

handler400 = "appion.web.views.errors.refuseQuestion"
handler403 = "appion.web.views.errors.refuseVisitor"
handler404 = "appion.web.views.errors.findNothing"
handler500 = "appion.web.views.errors.admitFault"
