"""Pictures of the webmail, for documents; Hangul needs the package fonts-nanum."""
