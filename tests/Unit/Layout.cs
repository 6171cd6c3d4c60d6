// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Tests.Unit;
