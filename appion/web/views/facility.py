"""The page of all runs that are alive or were today."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


@require_safe
def showFacility(request: HttpRequest) -> HttpResponse:
    return render(request, "facility.html")


@require_safe
def answerFacility(_request: HttpRequest) -> HttpResponse:
    return JsonResponse({"rows": []})
