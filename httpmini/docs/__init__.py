"""The documentation as a site: Markdown, the settings and the commands become HTML pages."""
