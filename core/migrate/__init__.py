"""From a database of DataJoint 0.14 to one of version 2, step by step; nothing is lost on the way.

Each step is dry unless told otherwise, tells what it would do, refuses before it changes anything when it is not
sure, and can be run again after a failure. The order is: a backup; columns; stores; lineage; job columns::

    dj.migrate.backup_schema("lab", "lab_backup")
    dj.migrate.analyze_columns(schema)
    dj.migrate.migrate_columns(schema, dry_run=False)
    dj.migrate.migrate_external(schema, dry_run=False)                  # beside the old columns; look at them
    dj.migrate.migrate_external(schema, dry_run=False, finalize=True)   # in their place
    dj.migrate.migrate_filepath(...)                                    # the same two steps
    dj.migrate.rebuild_lineage(schema, dry_run=False)

Source: DataJoint 2.3, ``datajoint.migrate``; its names, parameters and results.
"""

from __future__ import annotations

from dj_panel.core.migrate.columns import (
    analyze_blob_columns,
    analyze_columns,
    check_migration_status,
    generate_migration_sql,
    migrate_blob_columns,
    migrate_columns,
    verify_schema_v20,
)
from dj_panel.core.migrate.copies import (
    backup_schema,
    compare_query_results,
    copy_table_data,
    create_parallel_schema,
    restore_schema,
)
from dj_panel.core.migrate.external import migrate_external, migrate_external_pointers_v2, migrate_filepath
from dj_panel.core.migrate.records import add_job_metadata_columns, rebuild_lineage
from dj_panel.core.migrate.tracking import check_store_configuration, verify_external_integrity

__all__ = [
    "add_job_metadata_columns",
    "analyze_blob_columns",
    "analyze_columns",
    "backup_schema",
    "check_migration_status",
    "check_store_configuration",
    "compare_query_results",
    "copy_table_data",
    "create_parallel_schema",
    "generate_migration_sql",
    "migrate_blob_columns",
    "migrate_columns",
    "migrate_external",
    "migrate_external_pointers_v2",
    "migrate_filepath",
    "rebuild_lineage",
    "restore_schema",
    "verify_external_integrity",
    "verify_schema_v20",
]
