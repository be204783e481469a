"""Who may: keys, tokens, scopes, limits and the audit log, free of any transport."""
