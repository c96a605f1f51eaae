"""The words of a case, kept by the database.

case_text_config tells the text search configuration of a tenant's language; a language that PostgreSQL has no
stemmer for is `simple`. case_words_write makes a case's row anew; triggers call it when number, title,
description or a note changes. No schema is named in the functions, so that a cloned schema works by itself:
they run with the search path of the tenant, whose name a trigger knows.
"""

from django.db import migrations

FUNCTIONS = """
CREATE FUNCTION case_text_config(tenant text) RETURNS regconfig LANGUAGE sql STABLE AS $$
  SELECT CASE split_part(lower(coalesce((SELECT language FROM public.tenants_tenant WHERE schema_name = tenant), '')), '-', 1)
    WHEN 'ar' THEN 'arabic' WHEN 'da' THEN 'danish' WHEN 'de' THEN 'german' WHEN 'en' THEN 'english'
    WHEN 'es' THEN 'spanish' WHEN 'fi' THEN 'finnish' WHEN 'fr' THEN 'french' WHEN 'hi' THEN 'hindi'
    WHEN 'hu' THEN 'hungarian' WHEN 'id' THEN 'indonesian' WHEN 'it' THEN 'italian' WHEN 'ne' THEN 'nepali'
    WHEN 'nl' THEN 'dutch' WHEN 'no' THEN 'norwegian' WHEN 'pt' THEN 'portuguese' WHEN 'ro' THEN 'romanian'
    WHEN 'ru' THEN 'russian' WHEN 'sv' THEN 'swedish' WHEN 'ta' THEN 'tamil' WHEN 'tr' THEN 'turkish'
    ELSE 'simple' END::regconfig
$$;

CREATE FUNCTION case_words_write(wanted uuid, tenant text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  config regconfig := case_text_config(tenant);
BEGIN
  INSERT INTO cases_casesearch (case_id, config, vector)
  SELECT c.id, config::text,
    setweight(to_tsvector('simple', c.case_number), 'A')
    || setweight(to_tsvector(config, extensions.unaccent(c.title)), 'A')
    || setweight(to_tsvector(config, extensions.unaccent(c.description)), 'B')
    || setweight(to_tsvector(config, extensions.unaccent(coalesce(n.words, ''))), 'C')
  FROM cases_case c
  LEFT JOIN LATERAL (
    -- The newest come first: a vector has a greatest size, and the oldest notes of a very long case are let go.
    SELECT left(string_agg(content, ' ' ORDER BY created_at DESC), 200000) AS words
    FROM cases_casenote WHERE case_id = c.id AND NOT is_deleted
  ) n ON true
  WHERE c.id = wanted
  ON CONFLICT (case_id) DO UPDATE SET config = EXCLUDED.config, vector = EXCLUDED.vector;
END $$;

CREATE FUNCTION case_words_of_case() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM case_words_write(NEW.id, TG_TABLE_SCHEMA);
  RETURN NULL;
END $$;

CREATE FUNCTION case_words_of_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    PERFORM case_words_write(OLD.case_id, TG_TABLE_SCHEMA);
  END IF;
  IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.case_id <> OLD.case_id) THEN
    PERFORM case_words_write(NEW.case_id, TG_TABLE_SCHEMA);
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER case_words AFTER INSERT OR UPDATE OF case_number, title, description ON cases_case
  FOR EACH ROW EXECUTE FUNCTION case_words_of_case();
CREATE TRIGGER case_words AFTER INSERT OR DELETE OR UPDATE OF content, is_deleted, case_id ON cases_casenote
  FOR EACH ROW EXECUTE FUNCTION case_words_of_note();
"""

BACK = """
DROP TRIGGER case_words ON cases_casenote;
DROP TRIGGER case_words ON cases_case;
DROP FUNCTION case_words_of_note();
DROP FUNCTION case_words_of_case();
DROP FUNCTION case_words_write(uuid, text);
DROP FUNCTION case_text_config(text);
"""


class Migration(migrations.Migration):
    dependencies = [("cases", "0001_initial")]
    operations = [migrations.RunSQL(FUNCTIONS, BACK)]
