from django.core import validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("calls", "0001_initial")]

    operations = [
        migrations.AlterField(
            model_name="callqueue",
            name="wrap_up_seconds",
            field=models.PositiveIntegerField(
                default=30,
                help_text="0: no after-call work.",
                validators=[validators.MinValueValidator(0), validators.MaxValueValidator(3600)],
            ),
        ),
    ]
