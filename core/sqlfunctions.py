"""The functions that text may call, and the type of what each returns.

A function that reads files, waits, locks or tells of the server is not among them, so that text stays harmless.
"""

from __future__ import annotations

from dj_panel.core.errors import did_you_mean

__all__ = ["AGGREGATES", "FUNCTIONS", "ONLY_ON_SERVERS", "SYNONYMS", "about_function"]


def _named(kind: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), kind)


# The type of the result; "?" where it follows from the arguments (sqltyping.py).
FUNCTIONS: dict[str, str] = {
    **_named("double", "acos asin atan atan2 cos degrees exp ln log log10 log2 pi pow power radians rand sin sqrt tan"),
    **_named("?", "abs ceil ceiling floor greatest least left right mod nullif round truncate"),
    **_named("?", "date_add date_sub current_timestamp localtime localtimestamp now utc_timestamp str_to_date"),
    **_named("?", "time time_to_sec timediff unix_timestamp"),
    **_named("date", "curdate current_date date last_day"),
    **_named("time", "curtime current_time"),
    **_named("bigint", "ascii char_length datediff day dayofmonth dayofweek dayofyear field find_in_set hour instr isnull"),
    **_named("bigint", "json_contains json_length length locate microsecond minute month quarter second sign strcmp"),
    **_named("bigint", "to_days week weekday year"),
    **_named("longtext", "concat concat_ws date_format dayname hex json_extract json_unquote json_value lcase lower"),
    **_named("longtext", "lpad ltrim mid monthname repeat replace reverse rpad rtrim space substr substring"),
    **_named("longtext", "substring_index ucase upper uuid"),
}  # fmt: skip

# Aggregates beside COUNT, SUM, AVG, MIN, MAX and GROUP_CONCAT, which have a syntax of their own.
AGGREGATES: dict[str, str] = {
    **_named("double", "std stddev stddev_pop stddev_samp var_pop var_samp variance"),
    **_named("bigint unsigned", "bit_and bit_or bit_xor"),
    "any_value": "?", "json_arrayagg": "longtext",
}  # fmt: skip

# What the embedded database lacks.
ONLY_ON_SERVERS: dict[str, str] = {
    **_named("longtext", "conv elt format from_base64 json_array json_keys json_object json_quote json_search json_type"),
    **_named("longtext", "md5 sha1 sha2 soundex to_base64 time_format"),
    **_named("bigint", "bit_count crc32 json_contains_path json_valid period_diff weekofyear yearweek"),
    **_named("double", "cot"),
    **_named("date", "from_days makedate"),
    **_named("?", "addtime from_unixtime maketime sec_to_time subtime timestamp unhex"),
}  # fmt: skip

SYNONYMS = {
    "ceiling": "ceil", "current_date": "curdate", "current_time": "curtime", "current_timestamp": "now", "day": "dayofmonth",
    "lcase": "lower", "localtime": "now", "localtimestamp": "now", "mid": "substring", "power": "pow", "std": "stddev_pop",
    "stddev": "stddev_pop", "substr": "substring", "ucase": "upper", "variance": "var_pop",
}  # fmt: skip

_WITH_SYNTAX = (
    "avg", "case", "cast", "coalesce", "convert", "count", "group_concat", "if", "ifnull", "max", "min", "position",
    "sum", "timestampdiff", "trim",
)  # fmt: skip


def about_function(name: str) -> str:
    """Return why a function may not be used, and what may be meant.

    >>> about_function("substrng")
    "the function SUBSTRNG may not be used here. Did you mean 'substring'?"
    """
    known = [*FUNCTIONS, *AGGREGATES, *ONLY_ON_SERVERS, *_WITH_SYNTAX]
    near = did_you_mean(name.lower(), known) or " Those that may are listed in docs/scientist.md."
    return f"the function {name.upper()} may not be used here.{near}"
