// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

interface Token {
	function transferFrom(address from, address to, uint256 value) external returns (bool);
}

/* Several transfers of one or more payers in one transaction. */
contract Splitter {
	function split(address token, address[] calldata from, address[] calldata to, uint256[] calldata values) external {
		for (uint256 i = 0; i < from.length; i++)
			Token(token).transferFrom(from[i], to[i], values[i]);
	}
}
