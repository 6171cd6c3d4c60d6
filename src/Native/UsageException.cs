// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Native;

/// <summary>
/// What the user typed cannot be done; the message is one line that names the element, the cause and the cure. Exit 2, or 3 when only
/// this machine is in the way.
/// </summary>
public sealed class UsageException(string message, bool ofThisMachine = false) : Exception(OneLine.Of(message))
{
    /// <summary>The words are right, but this machine has no such CPU or node, or this process may not use it.</summary>
    public bool OfThisMachine { get; } = ofThisMachine;
}
