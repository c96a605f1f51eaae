from django.apps import AppConfig


class ReferenceDataConfig(AppConfig):
    name = "web.tenant.reference_data"
    label = "reference_data"

    def ready(self) -> None:
        from web.shared.tenants import provisioning
        from web.tenant.reference_data import bulk, references, services

        references.users(
            "reference_item", "locations", count=services.pointing_by_code, move=services.move_by_code
        )
        bulk.register()
        provisioning.step("reference_data", services.defaults_load)
