"""Pictures of the webmail for the documents; Hangul needs the package fonts-nanum."""
