// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/* Says what a token says, and holds nothing: it only emits logs. */
contract LookAlike {
	string public constant name = "Status Test Token";
	string public constant symbol = "SNT";
	uint8 public constant decimals = 18;

	event Transfer(address indexed from, address indexed to, uint256 value);
	event Approval(address indexed owner, address indexed spender, uint256 value);

	function transfer(address to, uint256 value) external returns (bool) {
		emit Transfer(msg.sender, to, value);
		return true;
	}

	function say(address from, address to, uint256 value) external {
		emit Approval(from, to, value);
		emit Transfer(from, to, value);
	}
}
