import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def case() -> models.ForeignKey:
    return models.ForeignKey(
        blank=True,
        null=True,
        on_delete=django.db.models.deletion.CASCADE,
        related_name="+",
        to="cases.case",
    )


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("cases", "0001_initial"),
        ("tasks", "0001_initial"),
    ]

    operations = [
        migrations.AddField(model_name="task", name="case", field=case()),
        migrations.AddField(model_name="taskseries", name="case", field=case()),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["case", "status"], name="task_by_case"),
        ),
    ]
