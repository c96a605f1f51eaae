"""What the sockets answer over HTTP: their own description."""

from django.urls import path

from realtime.views import asyncapi

urlpatterns = [path("api/asyncapi/", asyncapi, name="asyncapi")]
