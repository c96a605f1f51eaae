from django.urls import path

from web.shared.tenants.api.views import OrganizationQuotasView, OrganizationView

app_name = "organization"
urlpatterns = [
    path("", OrganizationView.as_view(), name="organization"),
    path("quotas/", OrganizationQuotasView.as_view(), name="quotas"),
]
