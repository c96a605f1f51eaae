from django.urls import path

from web.shared.tenants.api.views import OrganizationView

app_name = "organization"
urlpatterns = [path("", OrganizationView.as_view(), name="organization")]
