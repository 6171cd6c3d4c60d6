// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Native;

/// <summary>The system describes itself in a way that cannot be meant; one line that names the file and what it says.</summary>
public sealed class TopologyException(string message) : Exception(OneLine.Of(message));
