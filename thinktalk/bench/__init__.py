"""How fast a model hears, thinks and speaks on a machine: Tables 1 and 2 of the report, for any machine."""
