"""What keeps the project itself in order: releases, dependencies, promises."""
