"""Where tasks run: one module, one dataclass, one YAML each."""
