// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Native;

/// <summary>What the user typed cannot be meant; the message is one line that names the element, the cause and the cure. Exit 2.</summary>
public sealed class UsageException(string message) : Exception(message);
